/**
 * Transformers whose attention knows places by biases alone, over one sequence or from one sequence into another. Names and
 * layers are those of CROMA's code: norms inside the branches, queries, keys and values without biases of their own.
 */
import type * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  attention,
  initLayerNorm,
  type LayerNormParams,
  type LinearParams,
  type Random,
  selfAttention,
} from "@unmask/core";
import { initTorchLinear } from "./torch-linear.js";

/** Of the layer norms: PyTorch's default. */
export const EPSILON = 1e-5;

interface AttentionParams {
  readonly input_norm: LayerNormParams;
  readonly create_qkv: LinearParams;
  readonly out: LinearParams;
}
interface CrossParams {
  readonly input_norm: LayerNormParams;
  readonly create_q: LinearParams;
  readonly create_k: LinearParams;
  readonly create_v: LinearParams;
  readonly to_out: LinearParams;
}
interface FeedForwardParams {
  readonly input_norm: LayerNormParams;
  readonly net: { readonly "0": LinearParams; readonly "2": LinearParams };
}
export interface BiasedTransformerParams {
  readonly layers: readonly (readonly [AttentionParams, FeedForwardParams])[];
  readonly norm_out: LayerNormParams;
}

export interface CrossTransformerParams {
  readonly layers: readonly (readonly [AttentionParams, CrossParams, FeedForwardParams])[];
  readonly norm_out: LayerNormParams;
}

const initFeedForward = (random: Random, width: number): FeedForwardParams => ({
  input_norm: initLayerNorm(width),
  net: {
    "0": initTorchLinear(random, width, 4 * width),
    "2": initTorchLinear(random, 4 * width, width),
  },
});

const initAttention = (random: Random, width: number): AttentionParams => ({
  input_norm: initLayerNorm(width),
  create_qkv: initTorchLinear(random, width, 3 * width, { bias: false }),
  out: initTorchLinear(random, width, width),
});

function initCross(random: Random, width: number): CrossParams {
  const project = () => initTorchLinear(random, width, width, { bias: false });
  return {
    input_norm: initLayerNorm(width),
    create_q: project(),
    create_k: project(),
    create_v: project(),
    to_out: initTorchLinear(random, width, width),
  };
}

export const initBiasedTransformer = (
  random: Random,
  width: number,
  depth: number,
): BiasedTransformerParams => ({
  layers: Array.from(
    { length: depth },
    () => [initAttention(random, width), initFeedForward(random, width)] as const,
  ),
  norm_out: initLayerNorm(width),
});

export const initCrossTransformer = (
  random: Random,
  width: number,
  depth: number,
): CrossTransformerParams => ({
  layers: Array.from(
    { length: depth },
    () => [initAttention(random, width), initCross(random, width), initFeedForward(random, width)] as const,
  ),
  norm_out: initLayerNorm(width),
});

/** [B, N, D] -> [B, N, D]; `bias` [B or 1, heads, N, N] is added to what each pair of tokens makes of each other. */
export function applyBiasedTransformer(
  params: BiasedTransformerParams,
  tokens: tf.Tensor,
  heads: number,
  bias?: tf.Tensor4D,
): tf.Tensor3D {
  let x = tokens;
  for (const [own, feedForward] of params.layers) x = feed(feedForward, attend(own, x, heads, bias));
  return applyLayerNorm(params.norm_out, x, EPSILON) as tf.Tensor3D;
}

/**
 * Each layer: attention within the tokens, from them into the context, and the MLP. [B, N, D] and [B, M, D] -> [B, N, D]
 * @param bias [B or 1, heads, N, M], used for both attentions, as CROMA does, so that M has to be N
 */
export function applyCrossTransformer(
  params: CrossTransformerParams,
  tokens: tf.Tensor,
  context: tf.Tensor,
  heads: number,
  bias: tf.Tensor4D,
): tf.Tensor3D {
  let x = tokens;
  for (const [own, cross, feedForward] of params.layers)
    x = feed(feedForward, attendTo(cross, attend(own, x, heads, bias), context, heads, bias));
  return applyLayerNorm(params.norm_out, x, EPSILON) as tf.Tensor3D;
}

function attend(params: AttentionParams, x: tf.Tensor, heads: number, bias?: tf.Tensor4D): tf.Tensor {
  const qkv = applyLinear(params.create_qkv, applyLayerNorm(params.input_norm, x, EPSILON));
  return applyLinear(params.out, selfAttention(qkv, { heads, bias }), { residual: x });
}

function attendTo(params: CrossParams, x: tf.Tensor, context: tf.Tensor, heads: number, bias: tf.Tensor4D) {
  const [from, to] = [x, context].map((t) => applyLayerNorm(params.input_norm, t, EPSILON)) as [
    tf.Tensor,
    tf.Tensor,
  ];
  const q = applyLinear(params.create_q, from);
  const k = applyLinear(params.create_k, to);
  const v = applyLinear(params.create_v, to);
  return applyLinear(params.to_out, attention(q, k, v, { heads, bias }), { residual: x });
}

function feed({ input_norm, net }: FeedForwardParams, x: tf.Tensor): tf.Tensor {
  const hidden = applyLinear(net["0"], applyLayerNorm(input_norm, x, EPSILON), { activation: "gelu" });
  return applyLinear(net["2"], hidden, { residual: x });
}
