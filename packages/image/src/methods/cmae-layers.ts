/** The layers of CMAE under the names that its reference has for them. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type BatchNormParams,
  type BlockParams,
  initBatchNorm,
  initBlock,
  initLinear,
  type LayerNormParams,
  type LinearParams,
  type Random,
  type SelfAttentionParams,
  trainBatchNorm,
  uniform,
} from "@unmask/core";
import { hiddenWidth } from "../transformer-config.js";

/** A transformer block under the reference's names. */
export interface NamedBlock {
  readonly ln1: LayerNormParams;
  readonly attn: SelfAttentionParams;
  readonly ln2: LayerNormParams;
  readonly ffn: { readonly layers: readonly [readonly [LinearParams], LinearParams] };
}

export interface ProjectorParams {
  readonly fc0: LinearParams;
  readonly bn0: BatchNormParams;
  readonly fc1: LinearParams;
}

export function initBlocks(
  random: Random,
  depth: number,
  width: number,
  ratio: number,
  bias: boolean,
): NamedBlock[] {
  const shape = { width, hidden: hiddenWidth(width, ratio), qkvBias: bias ? "all" : "none" } as const;
  return Array.from({ length: depth }, () => {
    const { norm1, attn, norm2, mlp } = initBlock(random, shape);
    return { ln1: norm1, attn, ln2: norm2, ffn: { layers: [[mlp.fc1], mlp.fc2] } };
  });
}

export function initProjector(random: Random, width: number, hidden: number, out: number): ProjectorParams {
  return {
    fc0: initLinear(random, width, hidden, { init: uniform(1 / Math.sqrt(width)) }),
    bn0: initBatchNorm(hidden),
    fc1: initLinear(random, hidden, out, { bias: false, init: uniform(1 / Math.sqrt(hidden)) }),
  };
}

export const asBlock = ({ ln1, attn, ln2, ffn }: NamedBlock): BlockParams => ({
  norm1: ln1,
  attn,
  norm2: ln2,
  mlp: { fc1: ffn.layers[0][0], fc2: ffn.layers[1] },
});

/** Linear, batch norm, ReLU, linear: [B, D] -> [B, projection] */
export function project({ fc0, bn0, fc1 }: ProjectorParams, x: tf.Tensor): tf.Tensor2D {
  const hidden = tf.relu(trainBatchNorm(bn0, applyLinear(fc0, x), { epsilon: 1e-6 }));
  return applyLinear(fc1, hidden) as tf.Tensor2D;
}
