/**
 * A vision transformer over single frames that drops what matters least on its way (EViT, Liang et al., ICLR 2022,
 * arXiv 2202.07800): after the attention of some blocks the patch tokens that the class token looks at most go on, and one
 * token stands for all others, their mean weighted by how much it looks at each.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBlock,
  applyLayerNorm,
  applyLinear,
  applyMlp,
  applyPatchEmbed,
  type BlockParams,
  buffer,
  constant,
  gatherAny,
  initLayerNorm,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  linear,
  type Mask,
  normal,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  prependToken,
  type Random,
  selfAttention,
  sinCos2d,
  takeRows,
} from "@unmask/core";

export interface FrameEncoderConfig {
  readonly video: {
    /** [frames, height, width] */
    readonly size: readonly [number, number, number];
    /** [height, width] */
    readonly patch: readonly [number, number];
  };
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
  readonly pruneAt: readonly number[];
  readonly keepTokens: number;
}

export interface FrameEncoderParams {
  readonly patch_embed: PatchEmbedParams;
  readonly cls_token: tf.Variable;
  /** [1, N, D], fixed */
  readonly pos_embed: tf.Variable;
  /** [F, 1, D]: which frame of the clip */
  readonly frame_embed: tf.Variable;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

export interface EncodedFrames {
  /** [B * F, 1 + M, D], the class token first */
  readonly tokens: tf.Tensor3D;
  /** [B * F, M, N]: 1 where a token stands for a place of the frame; zeros for what stands for several */
  readonly places: tf.Tensor3D;
}

/** Rows and columns of patches. */
export const frameGrid = ({ video: { size, patch } }: Pick<FrameEncoderConfig, "video">) =>
  patchGrid(size.slice(1), patch) as [number, number];

export function initFrameEncoder(random: Random, config: FrameEncoderConfig): FrameEncoderParams {
  const { video, width, depth, mlpRatio } = config;
  return {
    patch_embed: initPatchEmbed(random, { patch: video.patch, channels: 3, width }),
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(frameGrid(config), width).expandDims(0)),
    frame_embed: parameter(normal(0.02)([video.size[0], 1, width], random)),
    blocks: initTransformer(random, depth, { width, hidden: Math.round(width * mlpRatio) }),
    norm: initLayerNorm(width),
  };
}

/** Patches of single frames: [B, F, H, W, 3] -> [B * F, N, P] */
export const framePatches = (clips: tf.Tensor5D, { video }: FrameEncoderConfig): tf.Tensor3D => {
  const [batch, frames, ...rest] = clips.shape;
  return patchify(clips.reshape([batch * frames, ...rest]), video.patch);
};

/**
 * @param patches [B * F, N, P]
 * @param mask of the B * F frames; absent: nothing is hidden
 * @param prune whether tokens are dropped
 */
export function encodeFrames(
  params: FrameEncoderParams,
  config: FrameEncoderConfig,
  patches: tf.Tensor3D,
  { mask, prune }: { readonly mask?: Mask; readonly prune: boolean },
): EncodedFrames {
  const { heads, epsilon, pruneAt, keepTokens } = config;
  const [images, all] = patches.shape;
  const embedded = applyPatchEmbed(params.patch_embed, mask ? takeRows(patches, mask.keep) : patches);
  const table = params.pos_embed.reshape([all, -1]);
  const placed = tf.add(
    embedded,
    mask ? gatherAny(table as tf.Tensor2D, mask.keep).reshape(embedded.shape) : table,
  );
  let tokens = withFrame(params, prependToken(params.cls_token, placed as tf.Tensor3D));
  let places = placesOf(images, all, mask);
  params.blocks.forEach((block, i) => {
    const seen = tokens.shape[1]! - 1;
    const kept = keptTokens(seen, keepTokens);
    if (!prune || kept >= seen || !pruneAt.includes(i + 1)) {
      tokens = applyBlock(block, tokens, { heads, epsilon }) as tf.Tensor3D;
      return;
    }
    const { attended, importance } = attend(block, tokens, { heads, epsilon });
    const pruned = pruneTokens(attended, importance, places, kept);
    places = pruned.places;
    tokens = applyMlp(block.mlp, pruned.tokens, {
      norm: { ...block.norm2, epsilon },
      residual: pruned.tokens,
    }) as tf.Tensor3D;
  });
  return { tokens: applyLayerNorm(params.norm, tokens, epsilon), places };
}

/** Whole tokens, one at least. */
export const keptTokens = (tokens: number, share: number): number =>
  Math.max(1, Math.floor(tokens * share + 1e-9));

/** [B * F, K, D] */
function withFrame({ frame_embed }: FrameEncoderParams, tokens: tf.Tensor3D): tf.Tensor3D {
  const [images, count, width] = tokens.shape;
  const [frames] = frame_embed.shape as [number];
  return tf
    .add(tokens.reshape([images / frames, frames, count, width]), frame_embed)
    .reshape([images, count, width]);
}

function placesOf(images: number, all: number, mask?: Mask): tf.Tensor3D {
  const kept = mask?.kept ?? all;
  const index = mask?.keep ?? Int32Array.from({ length: images * all }, (_, i) => i % all);
  return tf.oneHot(tf.tensor2d(index, [images, kept], "int32"), all).toFloat() as tf.Tensor3D;
}

/** The attention of a block with its residual, and how much the class token looks at each other token, over all heads. */
function attend(
  block: BlockParams,
  tokens: tf.Tensor3D,
  { heads, epsilon }: Pick<FrameEncoderConfig, "heads" | "epsilon">,
): { attended: tf.Tensor3D; importance: tf.Tensor2D } {
  const { qkv, proj } = block.attn;
  const packed = linear(tokens, qkv.weight, qkv.bias, { norm: { ...block.norm1, epsilon } }); // [B, 1 + M, 3D]
  const [batch, count, width] = tokens.shape;
  const byHead = (first: number, rows: number) =>
    tf.transpose(
      packed.slice([0, 0, first * width], [batch, rows, width]).reshape([batch, rows, heads, width / heads]),
      [0, 2, 1, 3],
    );
  const logits = tf.mul(tf.matMul(byHead(0, 1), byHead(1, count), false, true), Math.sqrt(heads / width));
  const weights = tf.mean(tf.softmax(logits), 1).reshape([batch, count]); // [B, H, 1, 1 + M] -> [B, 1 + M]
  return {
    attended: applyLinear(proj, selfAttention(packed, { heads }), { residual: tokens }) as tf.Tensor3D,
    importance: weights.slice([0, 1], [batch, count - 1]) as tf.Tensor2D,
  };
}

/**
 * The class token, the `kept` others of highest importance (of equal ones the first), and the mean of the rest weighted by
 * importance. Gradients reach the importance through these weights alone.
 * @param tokens [B, 1 + M, D]
 * @param importance [B, M], positive
 * @param places [B, M, N]
 * @returns tokens [B, 1 + kept + 1, D] and places [B, kept + 1, N], whose last row is zeros
 */
export function pruneTokens(
  tokens: tf.Tensor3D,
  importance: tf.Tensor2D,
  places: tf.Tensor3D,
  kept: number,
): EncodedFrames {
  const [batch, , width] = tokens.shape;
  const [, count, all] = places.shape;
  const chosen = chooseHighest(importance, kept); // [B, kept, M]
  const dropped = constant(() => tf.sub(1, tf.sum(chosen, 1)));
  const weights = tf.mul(importance, dropped);
  const shares = tf.div(weights, tf.add(tf.sum(weights, 1, true), 1e-12)).reshape([batch, 1, count]);
  const patches = tokens.slice([0, 1, 0], [batch, count, width]);
  const first = tokens.slice([0, 0, 0], [batch, 1, width]);
  const moved = () => tf.concat([tf.matMul(chosen, places), tf.zeros([batch, 1, all])], 1);
  return {
    tokens: tf.concat([first, tf.matMul(chosen, patches), tf.matMul(shares, patches)], 1) as tf.Tensor3D,
    places: constant(moved) as tf.Tensor3D,
  };
}

/** One row for each of the `count` highest scores, best first, 1 at its place: [B, M] -> [B, count, M]. No gradient. */
export const chooseHighest = (scores: tf.Tensor2D, count: number): tf.Tensor3D =>
  constant(() => tf.oneHot(tf.topk(scores, count).indices.toInt(), scores.shape[1]).toFloat()) as tf.Tensor3D;
