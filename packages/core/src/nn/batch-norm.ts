/** Batch normalisation over all axes but the last, with PyTorch's names and conventions. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { buffer, parameter } from "../tree.js";

export interface BatchNormParams {
  /** [C]; absent without affine parameters */
  readonly weight?: tf.Variable;
  /** [C] */
  readonly bias?: tf.Variable;
  /** [C] */
  readonly running_mean: tf.Variable;
  /** [C], of the variance with N - 1 */
  readonly running_var: tf.Variable;
  /** int32 scalar */
  readonly num_batches_tracked: tf.Variable;
}

/** What a batch says about its channels. */
export interface BatchStatistics {
  /** [C] */
  readonly mean: tf.Tensor1D;
  /** [C], with N */
  readonly variance: tf.Tensor1D;
  /** N, the values per channel; a scalar. */
  readonly count: tf.Scalar;
}

export function initBatchNorm(width: number, { affine = true }: { affine?: boolean } = {}): BatchNormParams {
  return {
    ...(affine ? { weight: parameter(tf.ones([width])), bias: parameter(tf.zeros([width])) } : {}),
    running_mean: buffer(tf.zeros([width])),
    running_var: buffer(tf.ones([width])),
    num_batches_tracked: buffer(tf.scalar(0, "int32")),
  };
}

export interface BatchNormOptions {
  /** Default 1e-5. */
  readonly epsilon?: number;
}

export interface TrainBatchNormOptions extends BatchNormOptions {
  /**
   * [..., 1]: 1 where x is active, 0 elsewhere (sparse feature maps). Statistics are over active places only, and
   * the result is 0 elsewhere.
   */
  readonly active?: tf.Tensor;
}

/**
 * Normalises by the batch's own statistics, as in training. Pure: running statistics move when the caller hands the
 * returned ones to {@link updateRunning}, once the step is taken.
 * @param x [..., C] with at least two values per channel
 */
export function trainBatchNorm(
  params: BatchNormParams,
  x: tf.Tensor,
  { epsilon = 1e-5, active }: TrainBatchNormOptions = {},
): { y: tf.Tensor; statistics: BatchStatistics } {
  const width = x.shape.at(-1)!;
  expect(
    x.size > width && width === params.running_mean.size,
    () =>
      `trainBatchNorm: expected [..., ${params.running_mean.size}] with more than one value per channel, got [${x.shape}]; a single one has no variance`,
  );
  const rows = x.reshape([x.size / width, width]);
  const weights = active?.reshape([x.size / width, 1]);
  const count = weights === undefined ? tf.scalar(x.size / width) : (tf.sum(weights) as tf.Scalar);
  const average = (values: tf.Tensor) =>
    tf.div(tf.sum(weights === undefined ? values : tf.mul(values, weights), 0), count) as tf.Tensor1D;
  const mean = average(rows);
  const centred = tf.sub(rows, mean);
  const variance = average(tf.square(centred));
  const normal = affine(params, tf.div(centred, tf.sqrt(tf.add(variance, epsilon))));
  const y = weights === undefined ? normal : tf.mul(normal, weights);
  return { y: y.reshape(x.shape), statistics: { mean, variance, count } };
}

/** Normalises by the running statistics, as in evaluation. [..., C] -> [..., C] */
export function applyBatchNorm(
  params: BatchNormParams,
  x: tf.Tensor,
  { epsilon = 1e-5 }: BatchNormOptions = {},
): tf.Tensor {
  const deviation = tf.sqrt(tf.add(params.running_var, epsilon));
  return affine(params, tf.div(tf.sub(x, params.running_mean), deviation));
}

/**
 * Moves the running statistics towards those of a batch: r += momentum * (new - r), the variance taken with N - 1.
 * Borrows `statistics`.
 */
export function updateRunning(params: BatchNormParams, statistics: BatchStatistics, momentum = 0.1): void {
  tf.tidy(() => {
    const { mean, variance, count } = statistics;
    const unbiased = tf.mul(variance, tf.div(count, tf.sub(count, 1)));
    const move = (running: tf.Variable, towards: tf.Tensor) =>
      running.assign(tf.add(tf.mul(running, 1 - momentum), tf.mul(towards, momentum)));
    move(params.running_mean, mean);
    move(params.running_var, unbiased);
    params.num_batches_tracked.assign(tf.add(params.num_batches_tracked, tf.scalar(1, "int32")).toInt());
  });
}

function affine({ weight, bias }: BatchNormParams, x: tf.Tensor): tf.Tensor {
  const scaled = weight === undefined ? x : tf.mul(x, weight);
  return bias === undefined ? scaled : tf.add(scaled, bias);
}
