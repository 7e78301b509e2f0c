import * as tf from "@tensorflow/tfjs";
import { attention } from "../ops/attention.js";
import type { Norm } from "../ops/linear.js";
import { selfAttentionLayer } from "../ops/self-attention-layer.js";
import type { Random } from "../random.js";
import { parameter } from "../tree.js";
import type { Initializer } from "./init.js";
import { applyLinear, initLinear, type LinearParams } from "./linear.js";

export interface SelfAttentionParams {
  /** [3D, D]: queries, keys, values. */
  readonly qkv: LinearParams;
  readonly proj: LinearParams;
  /** [D] each, in place of a bias of `qkv`; keys then have none (BEiT, VideoMAE). */
  readonly q_bias?: tf.Variable;
  readonly v_bias?: tf.Variable;
}

export interface CrossAttentionParams {
  readonly q: LinearParams;
  readonly k: LinearParams;
  readonly v: LinearParams;
  readonly proj: LinearParams;
}

export interface AttendOptions {
  readonly heads: number;
  /** Added to the logits, broadcastable to [B, H, N, M]. */
  readonly bias?: tf.Tensor;
  /** bool, broadcastable to [B, H, N, M]: true where a query may look at a key. */
  readonly mask?: tf.Tensor;
  /** Added to the result. */
  readonly residual?: tf.Tensor;
}

/** How the packed projection is biased: everywhere, nowhere, or queries and values only (two vectors of their own). */
export type QkvBias = "all" | "none" | "query-value";

export function initSelfAttention(
  random: Random,
  width: number,
  { qkvBias = "all", init }: { qkvBias?: QkvBias; init?: Initializer } = {},
): SelfAttentionParams {
  const qkv = initLinear(random, width, 3 * width, { bias: qkvBias === "all", init });
  const proj = initLinear(random, width, width, { init });
  if (qkvBias !== "query-value") return { qkv, proj };
  return { qkv, proj, q_bias: parameter(tf.zeros([width])), v_bias: parameter(tf.zeros([width])) };
}

/** [B, N, D] -> [B, N, D]; x is normalised first by `norm`. */
export function applySelfAttention(
  params: SelfAttentionParams,
  x: tf.Tensor,
  options: AttendOptions & { readonly norm?: Norm },
): tf.Tensor {
  const { q_bias: q, v_bias: v } = params;
  const bias = q !== undefined && v !== undefined ? tf.concat([q, tf.zerosLike(q), v]) : params.qkv.bias;
  return selfAttentionLayer(x, { weight: params.qkv.weight, bias }, params.proj, options);
}

/** Separate projections, for a context of its own width. */
export function initCrossAttention(
  random: Random,
  width: number,
  { context = width, bias = true, init }: { context?: number; bias?: boolean; init?: Initializer } = {},
): CrossAttentionParams {
  return {
    q: initLinear(random, width, width, { bias, init }),
    k: initLinear(random, context, width, { bias, init }),
    v: initLinear(random, context, width, { bias, init }),
    proj: initLinear(random, width, width, { init }),
  };
}

/** Queries from x [B, N, D], keys and values from context [B, M, C] -> [B, N, D] */
export function applyCrossAttention(
  params: CrossAttentionParams,
  x: tf.Tensor,
  context: tf.Tensor,
  { residual, ...attend }: AttendOptions,
): tf.Tensor {
  const q = applyLinear(params.q, x);
  const k = applyLinear(params.k, context);
  const v = applyLinear(params.v, context);
  return applyLinear(params.proj, attention(q, k, v, attend), { residual });
}
