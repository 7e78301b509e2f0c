/** Convolutions of width 1: the same linear map at every point, with PyTorch's Conv1d weights [out, in, 1]. */
import * as tf from "@tensorflow/tfjs";
import {
  applyBatchNorm,
  type BatchNormParams,
  type ConvParams,
  type Initializer,
  initConv,
  linear,
  parameter,
  type Random,
  trainBatchNorm,
  zeros,
} from "@unmask/core";

export interface PointConvOptions {
  /** Of the weight; the bias is then zero. Default as PyTorch starts its convolutions. */
  readonly init?: Initializer;
  readonly bias?: boolean;
}

export function initPointConv(
  random: Random,
  channels: number,
  out: number,
  { init, bias = true }: PointConvOptions = {},
): ConvParams {
  if (init === undefined) return initConv(random, { channels, out, kernel: [1], bias });
  const weight = parameter(init([out, channels, 1], random));
  return bias ? { weight, bias: parameter(zeros([out], random)) } : { weight };
}

/** [..., in] -> [..., out] */
export function applyPointConv({ weight, bias }: ConvParams, x: tf.Tensor): tf.Tensor {
  return linear(x, weight.reshape([weight.shape[0]!, weight.shape[1]!]), bias);
}

/** Batch normalisation in training or by running statistics. */
export type Normalise = (params: BatchNormParams, x: tf.Tensor) => tf.Tensor;

export const byBatch: Normalise = (params, x) => trainBatchNorm(params, x);
export const byRunningStatistics: Normalise = (params, x) => applyBatchNorm(params, x);

/** max(x, slope * x) */
export const leakyRelu = (x: tf.Tensor, slope = 0.2): tf.Tensor => tf.maximum(x, tf.mul(x, slope));
