import * as tf from "@tensorflow/tfjs";
import { sameShape } from "./reduce.js";

/** |a - b|, with gradient 0 where they are equal (the gradient of tf.abs is -1 there). */
export function absoluteDifference(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const difference = tf.sub(a, b);
  return tf.mul(difference, tf.sign(difference));
}

/** Absolute error of every token: mean over the last axis. [..., P] -> [...] */
export function tokenL1(prediction: tf.Tensor, target: tf.Tensor): tf.Tensor {
  sameShape("l1", prediction, target);
  return tf.mean(absoluteDifference(prediction, target), -1);
}

/** Mean absolute error over all values. */
export function l1(prediction: tf.Tensor, target: tf.Tensor): tf.Scalar {
  return tf.mean(tokenL1(prediction, target));
}
