/** Pre-norm transformer blocks that look into a context between their attention and their MLP. */
import type * as tf from "@tensorflow/tfjs";
import {
  applyCrossAttention,
  applyLayerNorm,
  applyMlp,
  applySelfAttention,
  type CrossAttentionParams,
  initCrossAttention,
  initLayerNorm,
  initMlp,
  initSelfAttention,
  type LayerNormParams,
  type MlpParams,
  type Random,
  type SelfAttentionParams,
} from "@unmask/core";

export interface CrossBlockParams {
  readonly norm1: LayerNormParams;
  readonly attn: SelfAttentionParams;
  readonly norm_cross: LayerNormParams;
  readonly cross: CrossAttentionParams;
  readonly norm2: LayerNormParams;
  readonly mlp: MlpParams;
}

export const initCrossBlocks = (
  random: Random,
  depth: number,
  { width, hidden }: { readonly width: number; readonly hidden: number },
): CrossBlockParams[] =>
  Array.from({ length: depth }, () => ({
    norm1: initLayerNorm(width),
    attn: initSelfAttention(random, width),
    norm_cross: initLayerNorm(width),
    cross: initCrossAttention(random, width),
    norm2: initLayerNorm(width),
    mlp: initMlp(random, width, hidden),
  }));

/**
 * [B, N, D] and a context [B, M, D] -> [B, N, D]
 * @param bias added to the logits of the tokens' attention to each other
 */
export function applyCrossBlocks(
  blocks: readonly CrossBlockParams[],
  tokens: tf.Tensor,
  context: tf.Tensor,
  { heads, epsilon, bias }: { readonly heads: number; readonly epsilon: number; readonly bias?: tf.Tensor },
): tf.Tensor {
  return blocks.reduce((x, { norm1, attn, norm_cross, cross, norm2, mlp }) => {
    const own = applySelfAttention(attn, x, { norm: { ...norm1, epsilon }, heads, bias, residual: x });
    const asked = applyLayerNorm(norm_cross, own, epsilon);
    const told = applyCrossAttention(cross, asked, context, { heads, residual: own });
    return applyMlp(mlp, told, { norm: { ...norm2, epsilon }, residual: told });
  }, tokens);
}
