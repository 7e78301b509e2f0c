/** What a vision transformer's tokens have to do with each other, at one of its blocks. */
import * as tf from "@tensorflow/tfjs";
import {
  applyBlock,
  applyLayerNorm,
  applyPatchEmbed,
  type BlockParams,
  expect,
  klDistillation,
  linear,
  type Model,
  type PatchEmbedParams,
  patchify,
  prependToken,
} from "@unmask/core";
import { type ImageInput, imageTensor } from "./batch.js";
import type { ImageSample } from "./sample.js";
import type { EncoderConfig } from "./transformer-config.js";

/** Queries, keys and values of patches, [B, N, C] each. */
export interface Relations {
  readonly q: tf.Tensor3D;
  readonly k: tf.Tensor3D;
  readonly v: tf.Tensor3D;
}

/**
 * Queries, keys and values that a block's projection makes of its input.
 * @param tokens [B, leading + N, D], before the block
 * @param leading tokens in front that are no patches
 */
export function blockRelations(
  { norm1, attn }: BlockParams,
  tokens: tf.Tensor,
  { epsilon, leading }: { readonly epsilon: number; readonly leading: number },
): Relations {
  const { q_bias, v_bias } = attn;
  const bias =
    q_bias !== undefined && v_bias !== undefined
      ? tf.concat([q_bias, tf.zerosLike(q_bias), v_bias])
      : attn.qkv.bias;
  const patches = tokens.slice([0, leading, 0]);
  const qkv = linear(applyLayerNorm(norm1, patches, epsilon), attn.qkv.weight, bias);
  const [q, k, v] = tf.split(qkv, 3, 2) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
  return { q, k, v };
}

/** The parameters that vision transformers of timm's names have in common. */
interface VisionTransformer {
  readonly cls_token?: tf.Variable;
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
}

/**
 * The relations that a model's encoder has of whole samples.
 * @param layer block, counted from 1; the last but one when absent
 * @throws UnmaskError where the model is no vision transformer, or has no such block
 */
export function modelRelations(
  method: string,
  { method: own, params, config }: Model,
  samples: readonly ImageSample[],
  layer?: number,
): Relations {
  const { cls_token, pos_embed, patch_embed, blocks } = params as Partial<VisionTransformer>;
  expect(
    pos_embed !== undefined && patch_embed !== undefined && blocks !== undefined,
    `${method}: ${own.id} has no token relations to learn from; give a vision transformer such as mae or vit`,
  );
  const last = layer ?? Math.max(1, blocks.length - 1);
  expect(
    last >= 1 && last <= blocks.length,
    `${method}: layer ${last} of a teacher (${own.id}) that has ${blocks.length}; choose one of 1 to ${blocks.length}`,
  );
  const { patchSize, heads, epsilon, activation } = config as EncoderConfig;
  const patches = applyPatchEmbed(
    patch_embed,
    patchify(imageTensor(config as ImageInput, samples), patchSize),
  );
  const tokens = cls_token === undefined ? patches : prependToken(cls_token, patches);
  const before = blocks
    .slice(0, last - 1)
    .reduce<tf.Tensor>(
      (x, block) => applyBlock(block, x, { heads, epsilon, activation }),
      tf.add(tokens, pos_embed),
    );
  return blockRelations(blocks[last - 1]!, before, { epsilon, leading: cls_token === undefined ? 0 : 1 });
}

/**
 * Mean of two divergences KL(teacher || student), summed over a row and averaged over rows, heads and samples: of
 * softmax(q k^T / sqrt d), and of softmax(v v^T / sqrt d). Channels of both sides are cut into `heads` groups.
 */
export function relationLoss(student: Relations, teacher: Relations, heads: number): tf.Scalar {
  const divergence = (a: keyof Relations, b: keyof Relations) =>
    klDistillation(
      relationLogits(student[a], student[b], heads),
      relationLogits(teacher[a], teacher[b], heads),
    );
  return tf.mul(tf.add(divergence("q", "k"), divergence("v", "v")), 0.5);
}

/** [B, N, C] twice -> [B, heads, N, N] */
function relationLogits(a: tf.Tensor3D, b: tf.Tensor3D, heads: number): tf.Tensor {
  const [batch, tokens, channels] = a.shape;
  expect(
    channels % heads === 0,
    `token relations: ${channels} channels do not divide into ${heads} heads; set relationHeads to a number that divides the widths of student and teacher`,
  );
  const split = (x: tf.Tensor) =>
    tf.transpose(x.reshape([batch, tokens, heads, channels / heads]), [0, 2, 1, 3]);
  return tf.mul(tf.matMul(split(a), split(b), false, true), 1 / Math.sqrt(channels / heads));
}
