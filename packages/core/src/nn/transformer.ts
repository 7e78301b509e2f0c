/** The pre-norm ViT block (Dosovitskiy et al., arXiv 2010.11929) and a stack of them. */
import * as tf from "@tensorflow/tfjs";
import type { Activation } from "../ops/gelu.js";
import type { Random } from "../random.js";
import { parameter } from "../tree.js";
import {
  applySelfAttention,
  initSelfAttention,
  type QkvBias,
  type SelfAttentionParams,
} from "./attention.js";
import type { Initializer } from "./init.js";
import { initLayerNorm, type LayerNormParams } from "./layer-norm.js";
import { applyMlp, initMlp, type MlpParams } from "./mlp.js";

export interface BlockParams {
  readonly norm1: LayerNormParams;
  readonly attn: SelfAttentionParams;
  /** Layer scale (Touvron et al., arXiv 2103.17239): a factor per channel on each branch. */
  readonly ls1?: { readonly gamma: tf.Variable };
  readonly norm2: LayerNormParams;
  readonly mlp: MlpParams;
  readonly ls2?: { readonly gamma: tf.Variable };
}

export interface BlockInit {
  readonly width: number;
  /** Hidden width of the MLP. */
  readonly hidden: number;
  readonly qkvBias?: QkvBias;
  /** Initial layer scale; absent: no layer scale. */
  readonly layerScale?: number;
  readonly init?: Initializer;
}

export interface BlockOptions {
  readonly heads: number;
  readonly epsilon: number;
  readonly activation?: Activation;
  readonly bias?: tf.Tensor;
  readonly mask?: tf.Tensor;
  /** Picks the tokens whose output is wanted, [B, N, D] -> [B, K, D]: no others go through the MLP, that of the last block. */
  readonly wanted?: (tokens: tf.Tensor) => tf.Tensor;
}

/**
 * Stochastic depth (Huang et al., arXiv 1603.09382) as data: for each of the two branches of each block and each
 * sample, 0 or 1 / (1 - rate). [depth, 2, B]
 */
export interface DropPath {
  readonly batch: number;
  readonly scales: Float32Array;
}

export interface TransformerOptions extends BlockOptions {
  readonly dropPath?: DropPath;
  /** Sees the output of each block, [B, N, D]; keep what is needed with `tf.keep` or return it from the same tidy. */
  readonly onBlock?: (index: number, tokens: tf.Tensor) => void;
}

export function initBlock(
  random: Random,
  { width, hidden, qkvBias, layerScale, init }: BlockInit,
): BlockParams {
  const scale = () =>
    layerScale === undefined ? undefined : { gamma: parameter(tf.fill([width], layerScale)) };
  const [ls1, ls2] = [scale(), scale()];
  return {
    norm1: initLayerNorm(width),
    attn: initSelfAttention(random, width, { qkvBias, init }),
    ...(ls1 && { ls1 }),
    norm2: initLayerNorm(width),
    mlp: initMlp(random, width, hidden, { init }),
    ...(ls2 && { ls2 }),
  };
}

/** x + attn(norm x), then x + mlp(norm x): [B, N, D] -> [B, N or K, D]. `scales`: drop path of the two branches, [2][B]. */
export function applyBlock(
  params: BlockParams,
  x: tf.Tensor,
  { heads, epsilon, activation, bias, mask, wanted = (all) => all }: BlockOptions,
  scales?: readonly [Float32Array, Float32Array],
): tf.Tensor {
  const attended = branch(x, params.ls1?.gamma, scales?.[0], (residual) =>
    applySelfAttention(params.attn, x, {
      norm: { ...params.norm1, epsilon },
      heads,
      bias,
      mask,
      residual,
    }),
  );
  const rest = wanted(attended);
  return branch(rest, params.ls2?.gamma, scales?.[1], (residual) =>
    applyMlp(params.mlp, rest, { norm: { ...params.norm2, epsilon }, activation, residual }),
  );
}

/** x + scale * f(x); the addition is fused into f's last product where nothing stands between. */
function branch(
  x: tf.Tensor,
  gamma: tf.Tensor | undefined,
  scales: Float32Array | undefined,
  f: (residual?: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  if (gamma === undefined && scales === undefined) return f(x);
  let y = f();
  if (gamma !== undefined) y = tf.mul(y, gamma);
  if (scales !== undefined) y = tf.mul(y, tf.tensor(scales, [scales.length, 1, 1]));
  return tf.add(x, y);
}

export function initTransformer(random: Random, depth: number, block: BlockInit): BlockParams[] {
  return Array.from({ length: depth }, () => initBlock(random, block));
}

/** All blocks in order: [B, N, D] -> [B, N or K, D] */
export function applyTransformer(
  blocks: readonly BlockParams[],
  x: tf.Tensor,
  options: TransformerOptions,
): tf.Tensor {
  const { dropPath, onBlock, wanted, ...shared } = options;
  if (blocks.length === 0) return wanted?.(x) ?? x;
  return blocks.reduce((tokens, block, index) => {
    const own = index === blocks.length - 1 ? { ...shared, wanted } : shared;
    const next = applyBlock(block, tokens, own, dropPath && scalesOf(dropPath, index));
    onBlock?.(index, next);
    return next;
  }, x);
}

/** Draws for a stack whose drop rate grows linearly from 0 to `rate`, as in the MAE family. */
export function drawDropPath(
  random: Random,
  depth: number,
  batch: number,
  rate: number,
): DropPath | undefined {
  if (rate === 0) return undefined;
  const scales = new Float32Array(depth * 2 * batch);
  for (let i = 0; i < scales.length; i++) {
    const drop = depth === 1 ? 0 : (rate * Math.floor(i / (2 * batch))) / (depth - 1);
    scales[i] = random.uniform() < drop ? 0 : 1 / (1 - drop);
  }
  return { batch, scales };
}

function scalesOf({ batch, scales }: DropPath, index: number): [Float32Array, Float32Array] {
  const start = 2 * index * batch;
  return [scales.slice(start, start + batch), scales.slice(start + batch, start + 2 * batch)];
}
