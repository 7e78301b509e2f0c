import * as tf from "@tensorflow/tfjs";
import { sameShape } from "./reduce.js";

/** Rows of length 1: x / max(|x|, 1e-12) along the last axis. */
export function l2Normalise(x: tf.Tensor): tf.Tensor {
  // The maximum is taken below the root, whose gradient at 0 is infinite.
  return tf.div(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), -1, true), 1e-24)));
}

/** Cosine of the angle between rows along the last axis. [..., D] -> [...] */
export function cosineSimilarity(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  sameShape("cosineSimilarity", a, b);
  return tf.sum(tf.mul(l2Normalise(a), l2Normalise(b)), -1);
}

/** 1 - cosine of every token. [..., D] -> [...] */
export function tokenCosine(prediction: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return tf.sub(1, cosineSimilarity(prediction, target));
}

/** Mean of 1 - cosine over all tokens. */
export function cosine(prediction: tf.Tensor, target: tf.Tensor): tf.Scalar {
  return tf.mean(tokenCosine(prediction, target));
}
