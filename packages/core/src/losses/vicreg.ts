import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { sameShape } from "./reduce.js";

export interface VicRegOptions {
  /** Weights of the three terms; defaults 25, 25, 1. */
  readonly invariance?: number;
  readonly variance?: number;
  readonly covariance?: number;
}

export interface VicRegTerms {
  readonly total: tf.Scalar;
  /** Mean squared difference of the views. */
  readonly invariance: tf.Scalar;
  /** Mean of max(0, 1 - deviation) over dimensions and views. */
  readonly variance: tf.Scalar;
  /** Sum of squared off-diagonal covariances / D, both views added. */
  readonly covariance: tf.Scalar;
}

/** VICReg over two views [B, D], B at least 2; the weighted total and its unweighted terms. */
export function vicReg(a: tf.Tensor, b: tf.Tensor, options: VicRegOptions = {}): VicRegTerms {
  sameShape("vicReg", a, b);
  const [batch, width] = a.shape as [number, number];
  expect(a.rank === 2 && batch > 1, () => `vicReg: expected two views [B, D] with B > 1, got [${a.shape}]`);
  const views = [a, b].map((x) => tf.sub(x, tf.mean(x, 0, true)) as tf.Tensor2D);
  const hinge = (x: tf.Tensor) => {
    const variance = tf.div(tf.sum(tf.square(x), 0), batch - 1);
    return tf.mean(tf.relu(tf.sub(1, tf.sqrt(tf.add(variance, 1e-4)))));
  };
  const spread = (x: tf.Tensor2D) => {
    const covariance = tf.div(tf.matMul(x, x, true, false), batch - 1);
    return tf.div(tf.sum(tf.square(tf.mul(covariance, tf.sub(1, tf.eye(width))))), width);
  };
  const invariance = tf.mean(tf.squaredDifference(a, b)) as tf.Scalar;
  const variance = tf.mul(tf.addN(views.map(hinge)), 0.5) as tf.Scalar;
  const covariance = tf.addN(views.map(spread)) as tf.Scalar;
  const total = tf.addN([
    tf.mul(invariance, options.invariance ?? 25),
    tf.mul(variance, options.variance ?? 25),
    tf.mul(covariance, options.covariance ?? 1),
  ]) as tf.Scalar;
  return { total, invariance, variance, covariance };
}
