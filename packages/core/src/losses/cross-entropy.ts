import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { sameShape } from "./reduce.js";

export interface CrossEntropyOptions {
  /** Share of the target spread evenly over all classes; default 0. */
  readonly smoothing?: number;
}

/**
 * Cross-entropy of every row.
 * @param logits [..., C]
 * @param target one class index per row, or probabilities [..., C]
 * @returns [...]
 */
export function tokenCrossEntropy(
  logits: tf.Tensor,
  target: Int32Array | tf.Tensor,
  { smoothing = 0 }: CrossEntropyOptions = {},
): tf.Tensor {
  const classes = logits.shape.at(-1)!;
  expect(
    smoothing >= 0 && smoothing < 1,
    () => `crossEntropy: smoothing must be at least 0 and below 1, got ${smoothing}`,
  );
  const hard = target instanceof tf.Tensor ? target : oneHot(target, logits.shape);
  sameShape("crossEntropy", logits, hard);
  const soft = smoothing === 0 ? hard : tf.add(tf.mul(hard, 1 - smoothing), smoothing / classes);
  return tf.neg(tf.sum(tf.mul(soft, tf.logSoftmax(logits)), -1));
}

/** Mean cross-entropy over all rows; arguments as {@link tokenCrossEntropy}. */
export function crossEntropy(
  logits: tf.Tensor,
  target: Int32Array | tf.Tensor,
  options: CrossEntropyOptions = {},
): tf.Scalar {
  return tf.mean(tokenCrossEntropy(logits, target, options));
}

/**
 * Mean binary cross-entropy over all values, from logits.
 * @param target probabilities of the same shape
 */
export function binaryCrossEntropy(logits: tf.Tensor, target: tf.Tensor): tf.Scalar {
  sameShape("binaryCrossEntropy", logits, target);
  return tf.mean(tf.sub(tf.softplus(logits), tf.mul(logits, target)));
}

function oneHot(labels: Int32Array, shape: readonly number[]): tf.Tensor {
  const classes = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  expect(
    labels.length === rows,
    () => `crossEntropy: ${labels.length} labels for ${rows} rows of logits [${shape}]; give one for each`,
  );
  const bad = labels.find((label) => label < 0 || label >= classes);
  expect(
    bad === undefined,
    () => `crossEntropy: label ${bad} is not a class of logits with ${classes}; classes count from 0`,
  );
  return tf
    .oneHot(tf.tensor1d(labels, "int32"), classes)
    .toFloat()
    .reshape([...shape]);
}
