import * as tf from "@tensorflow/tfjs";
import type { Mask } from "../masking/mask.js";
import { differentiable } from "../ops/differentiable.js";
import { maskedMean, sameShape } from "./reduce.js";

/** Squared error of every token: mean over the last axis. [..., P] -> [...] */
export function tokenMse(prediction: tf.Tensor, target: tf.Tensor): tf.Tensor {
  sameShape("mse", prediction, target);
  return tf.tidy(() => meanSquare(tf.sub(prediction, target)));
}

/** Mean of squares over the last axis. tfjs's own gradient of a mean makes a tensor of ones of the input's size. */
function meanSquare(x: tf.Tensor): tf.Tensor {
  const width = x.shape[x.rank - 1]!;
  return differentiable({ x }, ({ x }) => ({
    value: tf.mean(tf.square(x), -1),
    saved: { x },
    gradient: (dy, { x }) => ({ x: tf.mul(x!, tf.mul(dy, 2 / width).expandDims(-1)) }),
  }));
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
