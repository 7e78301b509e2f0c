/** The decoder blocks of BootMAE: self-attention, cross-attention to the encoder, MLP. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyMlp,
  applySelfAttention,
  attention,
  type BlockParams,
  initLayerNorm,
  initLinear,
  initMlp,
  type LayerNormParams,
  type LinearParams,
  linear,
  type MlpParams,
  parameter,
  type Random,
  type SelfAttentionParams,
  uniform,
} from "@unmask/core";
import { type EncoderConfig, hiddenWidth } from "../transformer-config.js";

/** Attention of a decoder to the encoder's tokens; keys and values packed, keys without a bias. */
interface InjectionParams {
  readonly q: LinearParams;
  readonly kv: LinearParams;
  readonly proj: LinearParams;
  readonly q_bias?: tf.Variable;
  readonly v_bias?: tf.Variable;
}

export interface DecoderBlockParams {
  readonly norm1: LayerNormParams;
  readonly attn: SelfAttentionParams;
  /** Of the decoder's tokens, before they are queries. */
  readonly norm3: LayerNormParams;
  /** Of the encoder's tokens. */
  readonly norm4: LayerNormParams;
  readonly c_attn: InjectionParams;
  readonly norm2: LayerNormParams;
  readonly mlp: MlpParams;
}

interface BlockShape extends Pick<EncoderConfig, "width" | "heads" | "mlpRatio" | "qkvBias"> {
  /** Width of the encoder's tokens. */
  readonly context: number;
}

/** A block of the encoder, or of a decoder without its cross-attention. */
export function initBlock(random: Random, { width, heads, mlpRatio, qkvBias }: BlockShape): BlockParams {
  const inner = innerWidth(width, heads);
  const bound = Math.sqrt(6 / (inner + width)); // queries, keys and values are xavier matrices of their own
  return {
    norm1: initLayerNorm(width),
    attn: {
      qkv: { weight: parameter(uniform(bound)([3 * inner, width], random)) },
      proj: initLinear(random, inner, width),
      ...(qkvBias && queryValueBias(inner)),
    },
    norm2: initLayerNorm(width),
    mlp: initMlp(random, width, hiddenWidth(width, mlpRatio)),
  };
}

export function initDecoderBlock(random: Random, shape: BlockShape): DecoderBlockParams {
  const { width, heads, qkvBias, context } = shape;
  const inner = innerWidth(width, heads);
  return {
    ...initBlock(random, shape),
    norm3: initLayerNorm(width),
    norm4: initLayerNorm(context),
    c_attn: {
      q: initLinear(random, width, inner, { bias: false }),
      kv: initLinear(random, context, 2 * inner, { bias: false }),
      proj: initLinear(random, inner, width),
      ...(qkvBias && queryValueBias(inner)),
    },
  };
}

const queryValueBias = (width: number) => ({
  q_bias: parameter(tf.zeros([width])),
  v_bias: parameter(tf.zeros([width])),
});

const innerWidth = (width: number, heads: number) => Math.floor(width / heads) * heads;

/** All blocks: tokens [B, 1 + N, d] that read the context [B, 1 + K, D] of the encoder -> [B, 1 + N, d] */
export function decode(
  blocks: readonly DecoderBlockParams[],
  { heads, epsilon, activation }: Pick<EncoderConfig, "heads" | "epsilon" | "activation">,
  tokens: tf.Tensor,
  context: tf.Tensor,
): tf.Tensor {
  const norm = (layer: LayerNormParams, x: tf.Tensor) => applyLayerNorm(layer, x, epsilon);
  return blocks.reduce((x, block) => {
    const attended = applySelfAttention(block.attn, norm(block.norm1, x), { heads, residual: x });
    const injected = tf.add(
      attended,
      inject(block.c_attn, norm(block.norm3, attended), norm(block.norm4, context), heads),
    );
    return applyMlp(block.mlp, norm(block.norm2, injected), { activation, residual: injected });
  }, tokens);
}

/** Queries from the decoder [B, 1 + N, d], keys and values from the encoder [B, 1 + K, D] */
function inject(params: InjectionParams, x: tf.Tensor, context: tf.Tensor, heads: number): tf.Tensor {
  const { q_bias, v_bias } = params;
  const kvBias = v_bias && tf.concat([tf.zerosLike(v_bias), v_bias]);
  const q = linear(x, params.q.weight, q_bias);
  const [k, v] = tf.split(linear(context, params.kv.weight, kvBias), 2, 2) as [tf.Tensor, tf.Tensor];
  return applyLinear(params.proj, attention(q, k, v, { heads }));
}
