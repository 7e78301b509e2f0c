import * as tf from "@tensorflow/tfjs";
import type { Mask } from "../masking/mask.js";
import { squaredError } from "../ops/squared-error.js";
import { maskedMean, sameShape } from "./reduce.js";

/** Squared error of every token: mean over the last axis. [..., P] -> [...] */
export function tokenMse(prediction: tf.Tensor, target: tf.Tensor): tf.Tensor {
  sameShape("mse", prediction, target);
  return squaredError(prediction, target);
}

/** Mean squared error over all values. */
export function mse(prediction: tf.Tensor, target: tf.Tensor): tf.Scalar {
  return tf.mean(tokenMse(prediction, target));
}

/**
 * The loss of MAE: squared error averaged over a token's values, then over the masked tokens of the whole batch.
 * @param prediction [B, N, P]
 * @param target [B, N, P]
 */
export function maskedMse(prediction: tf.Tensor, target: tf.Tensor, mask: Mask): tf.Scalar {
  return maskedMean(tokenMse(prediction, target), mask);
}
