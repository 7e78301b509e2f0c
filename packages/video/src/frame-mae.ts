/**
 * The masked autoencoder of single frames that a video method has beside its own: MAE, He et al., CVPR 2022, with the
 * reference's parameter names, so that an image model's parameters fit as they are. Frames are a batch of images.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  buffer,
  gatherAny,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  mse,
  normal,
  normaliseJoint,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  restoreRows,
  sinCos2d,
  takeRows,
  withClassToken,
} from "@unmask/core";
import { hiddenWidth } from "./transformer-config.js";

export interface FrameMaeConfig {
  /** [rows, columns] of patches. */
  readonly grid: readonly [number, number];
  readonly patchSize: readonly [number, number];
  readonly channels: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly epsilon: number;
}

export interface FrameMaeParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen. */
  readonly pos_embed: tf.Variable;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, 1 + N, decoder D], frozen. */
  readonly decoder_pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
  readonly decoder_embed: LinearParams;
  readonly decoder_blocks: readonly BlockParams[];
  readonly decoder_norm: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

const MLP_RATIO = 4;

export function initFrameMae(config: FrameMaeConfig, random: Random): FrameMaeParams {
  const { grid, patchSize, channels, width, depth, decoderWidth, decoderDepth } = config;
  const block = (size: number) => ({ width: size, hidden: hiddenWidth(size, MLP_RATIO) });
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(grid, width, { cls: true }).expandDims(0)),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    decoder_pos_embed: buffer(sinCos2d(grid, decoderWidth, { cls: true }).expandDims(0)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, block(width)),
    norm: initLayerNorm(width),
    decoder_embed: initLinear(random, width, decoderWidth),
    decoder_blocks: initTransformer(random, decoderDepth, block(decoderWidth)),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, patchSize[0] * patchSize[1] * channels),
  };
}

/** The encoder on visible patches: [B, H, W, C] -> [B, 1 + K, D], class token first. */
export function encodeFrames(
  params: FrameMaeParams,
  { patchSize, heads, epsilon }: FrameMaeConfig,
  frames: tf.Tensor4D,
  mask: Mask,
): tf.Tensor3D {
  const patches = applyPatchEmbed(params.patch_embed, takeRows(patchify(frames, patchSize), mask.keep));
  const table = params.pos_embed.reshape(params.pos_embed.shape.slice(1)); // [1 + N, D]
  const places = gatherAny(
    table,
    mask.keep.map((place) => place + 1),
  );
  const cls = tf.add(params.cls_token, params.pos_embed.slice([0, 0, 0], [1, 1, -1]));
  const tokens = prependToken(cls, tf.add(patches, places.reshape(patches.shape)) as tf.Tensor3D);
  return applyLayerNorm(
    params.norm,
    applyTransformer(params.blocks, tokens, { heads, epsilon }),
    epsilon,
  ) as tf.Tensor3D;
}

/** MAE's loss of the masked patches, each with its own mean and deviation taken out. */
export function frameLoss(
  params: FrameMaeParams,
  { patchSize, decoderHeads, epsilon }: FrameMaeConfig,
  frames: tf.Tensor4D,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Scalar {
  const all = restoreRows(applyLinear(params.decoder_embed, latent), params.mask_token, withClassToken(mask));
  const decoded = applyTransformer(params.decoder_blocks, tf.add(all, params.decoder_pos_embed), {
    heads: decoderHeads,
    epsilon,
  });
  const hidden = takeRows(
    decoded,
    mask.masked.map((place) => place + 1),
  );
  const prediction = applyLinear(params.decoder_pred, applyLayerNorm(params.decoder_norm, hidden, epsilon));
  return mse(prediction, normaliseJoint(takeRows(patchify(frames, patchSize), mask.masked)));
}
