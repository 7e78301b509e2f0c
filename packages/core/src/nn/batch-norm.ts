/** Batch normalisation over all axes but the last, with PyTorch's names and conventions. */
import * as tf from "@tensorflow/tfjs";
import { pendingBuffer, updateBuffer } from "../buffers.js";
import { expect } from "../errors.js";
import { batchNorm } from "../ops/batch-norm.js";
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
  /** Share of the batch in the running statistics: r += momentum * (new - r). Default 0.1. */
  readonly momentum?: number;
  /**
   * [..., 1]: 1 where x is active, 0 elsewhere (sparse feature maps). Statistics are over active places only, and
   * the result is 0 elsewhere.
   */
  readonly active?: tf.Tensor;
}

/**
 * Normalises by the batch's own statistics, as in training, and moves the running ones towards them (the variance taken
 * with N - 1) once the step is done.
 * @param x [..., C] with at least two values per channel
 */
export function trainBatchNorm(
  params: BatchNormParams,
  x: tf.Tensor,
  { epsilon = 1e-5, momentum = 0.1, active }: TrainBatchNormOptions = {},
): tf.Tensor {
  const width = x.shape.at(-1)!;
  expect(
    x.size > width && width === params.running_mean.size,
    () =>
      `trainBatchNorm: expected [..., ${params.running_mean.size}] with more than one value per channel, got [${x.shape}]; a single one has no variance`,
  );
  const rows = x.size / width;
  const { y, moments } = batchNorm(x.reshape([rows, width]), params.weight, params.bias, {
    epsilon,
    active: active?.reshape([rows]),
  });
  const moved = (running: tf.Variable, towards: () => tf.Tensor) =>
    updateBuffer(running, () =>
      tf.add(tf.mul(pendingBuffer(running), 1 - momentum), tf.mul(towards(), momentum)),
    );
  const row = (at: number) => tf.slice(moments, [at, 0], [1, -1]).reshape([width]);
  moved(params.running_mean, () => row(0));
  moved(params.running_var, () => {
    const count = active === undefined ? tf.scalar(rows) : tf.sum(active);
    return tf.mul(row(1), tf.div(count, tf.sub(count, 1))); // with N - 1
  });
  const { num_batches_tracked: batches } = params;
  updateBuffer(batches, () => tf.add(pendingBuffer(batches), tf.scalar(1, "int32")));
  return y.reshape(x.shape);
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

function affine({ weight, bias }: BatchNormParams, x: tf.Tensor): tf.Tensor {
  const scaled = weight === undefined ? x : tf.mul(x, weight);
  return bias === undefined ? scaled : tf.add(scaled, bias);
}
