/** Heads of two hidden layers with batch norm and dropout, which both fine-tuning recipes end in. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type BatchNormParams,
  type Initializer,
  initBatchNorm,
  initLinear,
  type LinearParams,
  type Random,
} from "@unmask/core";
import type { Normalise } from "./point-conv.js";
import { initDefaultLinear } from "./positioned-transformer.js";

export interface HeadParams {
  readonly 0: LinearParams;
  readonly 1: BatchNormParams;
  readonly 4: LinearParams;
  readonly 5: BatchNormParams;
  readonly 8: LinearParams;
}

/** Dropout as data: 0 or 1 / (1 - rate) for each value of each hidden layer. */
export type HeadDropout = readonly [tf.Tensor2D, tf.Tensor2D];

export function initHead(
  random: Random,
  width: number,
  [first, second]: readonly [number, number],
  classes: number,
  { bias = true, init }: { bias?: boolean; init?: Initializer } = {},
): HeadParams {
  const layer = (input: number, out: number, biased = true) =>
    init === undefined
      ? initDefaultLinear(random, input, out, { bias: biased })
      : initLinear(random, input, out, { init, bias: biased });
  return {
    0: layer(width, first, bias),
    1: initBatchNorm(first),
    4: layer(first, second),
    5: initBatchNorm(second),
    8: layer(second, classes),
  };
}

export function drawHeadDropout(
  random: Random,
  batch: number,
  widths: readonly [number, number],
  rate: number,
): HeadDropout | undefined {
  if (rate === 0) return undefined;
  const draw = (width: number) =>
    tf.tensor2d(
      random.uniforms(batch * width).map((value) => (value < rate ? 0 : 1 / (1 - rate))),
      [batch, width],
    );
  return [draw(widths[0]), draw(widths[1])];
}

/** [B, D] -> [B, classes] */
export function applyHead(
  params: HeadParams,
  features: tf.Tensor2D,
  normalise: Normalise,
  activation: (x: tf.Tensor) => tf.Tensor,
  dropout?: HeadDropout,
): tf.Tensor2D {
  const drop = (x: tf.Tensor, layer: 0 | 1) => (dropout === undefined ? x : tf.mul(x, dropout[layer]));
  const first = drop(activation(normalise(params[1], applyLinear(params[0], features))), 0);
  const second = drop(activation(normalise(params[5], applyLinear(params[4], first))), 1);
  return applyLinear(params[8], second) as tf.Tensor2D;
}
