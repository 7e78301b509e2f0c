/** Scaled dot-product attention (Vaswani et al., arXiv 1706.03762), heads interleaved in the last axis. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { differentiable } from "./differentiable.js";
import { kernel } from "./kernel.js";

type AttentionAttrs = { heads: number; scale: number };
type AttentionInputs = { q: tf.Tensor; k: tf.Tensor; v: tf.Tensor; bias?: tf.Tensor };

/** [B, N, H * E] -> [B, H, N, E] */
const splitHeads = (x: tf.Tensor, heads: number) =>
  tf.transpose(x.reshape([x.shape[0]!, x.shape[1]!, heads, x.shape[2]! / heads]), [0, 2, 1, 3]);

/** [B, H, N, E] -> [B, N, H * E] */
const joinHeads = (x: tf.Tensor) => {
  const [batch, heads, tokens, width] = x.shape as [number, number, number, number];
  return tf.transpose(x, [0, 2, 1, 3]).reshape([batch, tokens, heads * width]);
};

const scores = (q: tf.Tensor, k: tf.Tensor, bias: tf.Tensor | undefined, scale: number) => {
  const product = tf.mul(tf.matMul(q, k, false, true), scale); // [B, H, N, M]
  return bias === undefined ? product : tf.add(product, bias);
};

/**
 * `UnmaskAttention`: out = softmax(q k^T * scale + bias) v per head.
 * inputs q [B, N, H*E], k [B, M, H*E], v [B, M, H*E], bias? broadcastable to [B, H, N, M] (rank 4, each axis full or 1);
 * attrs heads, scale; outputs [out [B, N, H*E], lse [B, H, N]], lse the log of the softmax denominator.
 */
const attentionKernel = kernel<AttentionInputs, AttentionAttrs>(
  "UnmaskAttention",
  ({ q, k, v, bias }, { heads, scale }) => {
    const logits = scores(splitHeads(q, heads), splitHeads(k, heads), bias, scale);
    const top = tf.max(logits, 3, true);
    const weights = tf.exp(tf.sub(logits, top));
    const denominator = tf.sum(weights, 3, true);
    const out = tf.div(tf.matMul(weights, splitHeads(v, heads)), denominator);
    return [joinHeads(out), tf.squeeze(tf.add(top, tf.log(denominator)), [3])];
  },
);

/**
 * `UnmaskAttentionGrad`: inputs dout, q, k, v, bias?, out, lse as above; attrs heads, scale, biasGradient;
 * outputs [dq, dk, dv, and if biasGradient dbias (the shape of bias)].
 */
const attentionGradKernel = kernel<
  AttentionInputs & { dout: tf.Tensor; out: tf.Tensor; lse: tf.Tensor },
  AttentionAttrs & { biasGradient: boolean }
>("UnmaskAttentionGrad", ({ dout, q, k, v, bias, out, lse }, { heads, scale, biasGradient }) => {
  const [qh, kh, vh, dh] = [q, k, v, dout].map((x) => splitHeads(x, heads)) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const weights = tf.exp(tf.sub(scores(qh, kh, bias, scale), tf.expandDims(lse, 3))); // [B, H, N, M]
  const spread = tf.sum(tf.mul(dh, splitHeads(out, heads)), 3, true); // [B, H, N, 1]
  const dlogits = tf.mul(weights, tf.sub(tf.matMul(dh, vh, false, true), spread));
  const dproduct = tf.mul(dlogits, scale);
  const grads = [
    joinHeads(tf.matMul(dproduct, kh)),
    joinHeads(tf.matMul(dproduct, qh, true, false)),
    joinHeads(tf.matMul(weights, dh, true, false)),
  ];
  if (biasGradient && bias !== undefined) {
    const axes = bias.shape.flatMap((size, axis) => (size === 1 && dlogits.shape[axis] !== 1 ? [axis] : []));
    grads.push(axes.length === 0 ? dlogits : tf.sum(dlogits, axes, true));
  }
  return grads;
});

/**
 * `UnmaskSelfAttention`: `UnmaskAttention` on the packed projection.
 * inputs qkv [B, N, 3*H*E] (q, then k, then v), bias?; attrs heads, scale; outputs [out [B, N, H*E], lse [B, H, N]].
 */
export const selfAttentionKernel = kernel<{ qkv: tf.Tensor; bias?: tf.Tensor }, AttentionAttrs>(
  "UnmaskSelfAttention",
  ({ qkv, bias }, attrs) => {
    const [q, k, v] = tf.split(qkv, 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
    return attentionKernel.compose({ q, k, v, bias }, attrs);
  },
);

/**
 * `UnmaskSelfAttentionGrad`: inputs dout, qkv, bias?, out, lse; attrs heads, scale, biasGradient;
 * outputs [dqkv [B, N, 3*H*E], and if biasGradient dbias].
 */
export const selfAttentionGradKernel = kernel<
  { dout: tf.Tensor; qkv: tf.Tensor; bias?: tf.Tensor; out: tf.Tensor; lse: tf.Tensor },
  AttentionAttrs & { biasGradient: boolean }
>("UnmaskSelfAttentionGrad", ({ qkv, ...rest }, attrs) => {
  const [q, k, v] = tf.split(qkv, 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const [dq, dk, dv, ...dbias] = attentionGradKernel.compose({ q, k, v, ...rest }, attrs);
  return [tf.concat([dq!, dk!, dv!], 2), ...dbias];
});

export interface AttentionOptions {
  readonly heads: number;
  /** Factor on the logits; default 1 / sqrt(head width). */
  readonly scale?: number;
  /** Added to the logits; broadcastable to [B, H, N, M]. Receives a gradient. */
  readonly bias?: tf.Tensor;
  /** bool, broadcastable to [B, H, N, M]: true where a query may look at a key. */
  readonly mask?: tf.Tensor;
}

/**
 * Attention of N queries over M keys.
 * @param q [B, N, D]
 * @param k [B, M, D]
 * @param v [B, M, D]
 * @returns [B, N, D]
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions): tf.Tensor3D {
  const { heads, scale, bias } = attentionSetting("attention", q.shape[2]!, options);
  return differentiable({ q, k, v, bias }, ({ q, k, v, bias }) => {
    const [out, lse] = attentionKernel({ q, k, v, bias }, { heads, scale });
    return {
      value: out!,
      saved: { q, k, v, bias, out, lse },
      gradient: (dout, { q, k, v, bias, out, lse }) => {
        const given = { dout, q: q!, k: k!, v: v!, out: out!, lse: lse!, bias };
        const [dq, dk, dv, dbias] = attentionGradKernel(given, {
          heads,
          scale,
          biasGradient: bias !== undefined,
        });
        return { q: dq!, k: dk!, v: dv!, bias: dbias };
      },
    };
  }) as tf.Tensor3D;
}

/**
 * Attention of tokens over themselves from the packed projection.
 * @param qkv [B, N, 3 * D]: queries, keys, values
 * @returns [B, N, D]
 */
export function selfAttention(qkv: tf.Tensor, options: AttentionOptions): tf.Tensor3D {
  const { heads, scale, bias } = attentionSetting("selfAttention", qkv.shape[2]! / 3, options);
  return differentiable({ qkv, bias }, ({ qkv, bias }) => {
    const [out, lse] = selfAttentionKernel({ qkv, bias }, { heads, scale });
    return {
      value: out!,
      saved: { qkv, bias, out, lse },
      gradient: (dout, { qkv, bias, out, lse }) => {
        const given = { dout, qkv: qkv!, out: out!, lse: lse!, bias };
        const [dqkv, dbias] = selfAttentionGradKernel(given, {
          heads,
          scale,
          biasGradient: bias !== undefined,
        });
        return { qkv: dqkv!, bias: dbias };
      },
    };
  }) as tf.Tensor3D;
}

/** What the kernels take: a checked number of heads, the scale, and the mask as part of the bias. */
export function attentionSetting(name: string, width: number, options: AttentionOptions) {
  const { heads, scale, bias, mask } = options;
  expect(
    Number.isInteger(width / heads),
    () => `${name}: width ${width} is not a multiple of ${heads} heads`,
  );
  for (const [what, tensor] of Object.entries({ bias, mask }))
    expect(
      tensor === undefined || tensor.rank === 4,
      () => `${name}: ${what} must have rank 4, [B or 1, H or 1, N or 1, M or 1], got [${tensor?.shape}]`,
    );
  return { heads, scale: scale ?? 1 / Math.sqrt(width / heads), bias: additiveBias(options) };
}

/** A mask becomes a large negative bias: exp underflows to exactly 0, and a row that sees nothing stays finite. */
function additiveBias({ bias, mask }: AttentionOptions): tf.Tensor | undefined {
  if (mask === undefined) return bias;
  const blocked = tf.mul(tf.sub(1, tf.cast(mask, "float32")), -1e30);
  return bias === undefined ? blocked : tf.add(bias, blocked);
}
