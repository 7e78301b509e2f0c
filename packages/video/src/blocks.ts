/**
 * Transformer blocks with the parameter names of the VideoMAE family: query and value biases as vectors of their own,
 * layer scale as `gamma_1` and `gamma_2`.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyTransformer,
  type BlockParams,
  type Initializer,
  initTransformer,
  parameter,
  type Random,
  type TransformerOptions,
} from "@unmask/core";
import { hiddenWidth } from "./transformer-config.js";

export interface VideoBlockParams extends Pick<BlockParams, "norm1" | "attn" | "norm2" | "mlp"> {
  /** [D] each, with layer scale. */
  readonly gamma_1?: tf.Variable;
  readonly gamma_2?: tf.Variable;
}

export interface VideoBlockInit {
  readonly width: number;
  readonly depth: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly layerScale: number;
  readonly init?: Initializer;
}

export function initVideoBlocks(
  random: Random,
  { width, depth, mlpRatio, qkvBias, layerScale, init }: VideoBlockInit,
): VideoBlockParams[] {
  const gamma = () => parameter(tf.fill([width], layerScale));
  const blocks = initTransformer(random, depth, {
    width,
    hidden: hiddenWidth(width, mlpRatio),
    qkvBias: qkvBias ? "query-value" : "none",
    init,
  });
  return layerScale === 0
    ? blocks
    : blocks.map((block) => ({ ...block, gamma_1: gamma(), gamma_2: gamma() }));
}

/** All blocks in order: [B, N, D] -> [B, N, D] */
export function applyVideoBlocks(
  blocks: readonly VideoBlockParams[],
  x: tf.Tensor,
  options: TransformerOptions,
): tf.Tensor3D {
  const scaled = blocks.map(({ gamma_1, gamma_2, ...block }) => ({
    ...block,
    ...(gamma_1 && { ls1: { gamma: gamma_1 } }),
    ...(gamma_2 && { ls2: { gamma: gamma_2 } }),
  }));
  return applyTransformer(scaled, x, options) as tf.Tensor3D;
}
