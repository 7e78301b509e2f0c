import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { takeNearest } from "../ops/take-nearest.js";

export interface ChamferOptions {
  /**
   * "l2": squared distances, both directions added. "l1": distances, the mean of both directions
   * (the two forms of Point-MAE).
   */
  readonly norm: "l1" | "l2";
  /** Over points and sets: "mean" (default) or "sum" (MAE3D). */
  readonly reduction?: "mean" | "sum";
}

/**
 * Chamfer distance between point sets: from every point to the nearest of the other set, in both directions.
 * @param a [B, N, D]
 * @param b [B, M, D]
 */
export function chamfer(a: tf.Tensor, b: tf.Tensor, { norm, reduction = "mean" }: ChamferOptions): tf.Scalar {
  expect(
    a.rank === 3 && b.rank === 3 && a.shape[0] === b.shape[0] && a.shape[2] === b.shape[2],
    () => `chamfer: expected point sets [B, N, D] and [B, M, D], got [${a.shape}] and [${b.shape}]`,
  );
  const direction = (from: tf.Tensor, to: tf.Tensor) => {
    const squared = tf.sum(tf.squaredDifference(from, takeNearest(from, to)), -1); // [B, N]
    // The maximum is taken below the root, whose gradient at 0 is infinite.
    const distance = norm === "l2" ? squared : tf.sqrt(tf.maximum(squared, 1e-24));
    return reduction === "mean" ? tf.mean(distance) : tf.sum(distance);
  };
  const both = tf.add(direction(a, b), direction(b, a));
  return (norm === "l2" ? both : tf.mul(both, 0.5)) as tf.Scalar;
}
