import * as tf from "@tensorflow/tfjs";
import { sameShape } from "./reduce.js";

export interface BarlowTwinsOptions {
  /** Weight of the off-diagonal entries; default 0.0051. */
  readonly lambda?: number;
}

/**
 * Cross-correlation of two views along the batch, each column standardised (variance with N, epsilon 1e-5).
 * @param a [B, D]
 * @param b [B, D]
 * @returns [D, D]
 */
export function crossCorrelation(a: tf.Tensor, b: tf.Tensor): tf.Tensor2D {
  sameShape("crossCorrelation", a, b);
  return tf.div(tf.matMul(standardise(a), standardise(b), true, false), a.shape[0]!);
}

/** Barlow Twins: sum of (1 - c_ii)^2 + lambda * sum of c_ij^2 over the cross-correlation of two views [B, D]. */
export function barlowTwins(
  a: tf.Tensor,
  b: tf.Tensor,
  { lambda = 0.0051 }: BarlowTwinsOptions = {},
): tf.Scalar {
  const correlation = crossCorrelation(a, b);
  const identity = tf.eye(correlation.shape[0]);
  const weights = tf.add(tf.mul(identity, 1 - lambda), lambda); // 1 on the diagonal, lambda off it
  return tf.sum(tf.mul(tf.squaredDifference(correlation, identity), weights));
}

function standardise(x: tf.Tensor): tf.Tensor2D {
  const centred = tf.sub(x, tf.mean(x, 0, true));
  return tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), 0, true), 1e-5)));
}
