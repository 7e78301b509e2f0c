/** The networks of the VideoMAE family: an encoder of a clip's tokens, and a decoder of hidden cubes from the visible ones. */
import type * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  hiddenWidth,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  maskedFlags,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  truncatedNormal,
  uniform,
} from "@unmask/core";
import { z } from "zod";
import { type ClipColours, clipColours, colourShape, decoderInput, inPlace } from "./clips.js";
import { count } from "./config.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "./part-pictures.js";

export interface ClipEncoderParams {
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

export interface ClipDecoderParams {
  /** Without a bias. */
  readonly encoder_to_decoder: LinearParams;
  readonly mask_token: tf.Variable;
  readonly decoder: {
    readonly blocks: readonly BlockParams[];
    readonly norm: LayerNormParams;
    readonly head: LinearParams;
  };
}

export interface ClipAutoencoderConfig extends ClipColours {
  readonly video: {
    readonly size: readonly [number, number, number];
    readonly patch: readonly [number, number, number];
  };
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
  readonly normaliseTarget: boolean;
}

const triple = z.tuple([count, count, count]).readonly();

/** Keys of a method's schema. */
export const clipAutoencoderShape = {
  video: z
    .strictObject({ size: triple, patch: triple })
    .default({ size: [16, 224, 224], patch: [2, 16, 16] })
    .describe("clip of [frames, height, width] in colour, and one token of it"),
  ...colourShape,
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  decoderWidth: count.default(384).describe("width of the decoder's tokens"),
  decoderDepth: count.default(4).describe("decoder blocks"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
  normaliseTarget: z
    .boolean()
    .default(true)
    .describe("cubes with mean and deviation of each channel taken out"),
};

export const clipAutoencoderSizes = {
  tiny: { width: 96, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
  base: {},
} satisfies Record<string, Partial<ClipAutoencoderConfig>>;

export function initClipEncoder(
  random: Random,
  { video: { patch }, width, depth, mlpRatio }: ClipAutoencoderConfig,
): ClipEncoderParams {
  const init = uniform(1 / Math.sqrt(patch.reduce((a, b) => a * b, 3))); // as PyTorch's convolutions start
  return {
    patch_embed: initPatchEmbed(random, { patch, channels: 3, width, init }),
    blocks: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, mlpRatio),
      qkvBias: "query-value",
    }),
    norm: initLayerNorm(width),
  };
}

export function initClipDecoder(
  random: Random,
  { video, width, decoderWidth, decoderDepth, mlpRatio }: ClipAutoencoderConfig,
): ClipDecoderParams {
  const hidden = hiddenWidth(decoderWidth, mlpRatio);
  return {
    encoder_to_decoder: initLinear(random, width, decoderWidth, { bias: false }),
    mask_token: parameter(truncatedNormal(0.02, 0.02)([1, 1, decoderWidth], random)),
    decoder: {
      blocks: initTransformer(random, decoderDepth, {
        width: decoderWidth,
        hidden,
        qkvBias: "query-value",
      }),
      norm: initLayerNorm(decoderWidth),
      head: initLinear(
        random,
        decoderWidth,
        video.patch.reduce((a, b) => a * b, 3),
      ),
    },
  };
}

/** All blocks and the norm: [B, N, D] -> [B, N, D]. @param bias of the attention, [B or 1, 1, 1, N] */
export function encodeClipTokens(
  { blocks, norm }: ClipEncoderParams,
  { heads, epsilon }: ClipAutoencoderConfig,
  tokens: tf.Tensor,
  bias?: tf.Tensor,
): tf.Tensor3D {
  return applyLayerNorm(
    norm,
    applyTransformer(blocks, tokens, { heads, epsilon, bias }),
    epsilon,
  ) as tf.Tensor3D;
}

/** Predictions at the masked places: [B, K, D] -> [B, N - K, P] */
export function decodeClip(
  { encoder_to_decoder, mask_token, decoder }: ClipDecoderParams,
  { decoderHeads: heads, epsilon }: ClipAutoencoderConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor {
  const input = decoderInput(encoder_to_decoder, mask_token, latent, mask);
  const decoded = applyTransformer(decoder.blocks, input, { heads, epsilon });
  return applyLinear(decoder.head, applyLayerNorm(decoder.norm, decoded.slice([0, mask.kept, 0]), epsilon));
}

/** A batch of clips with hidden cubes as predicted. @param prediction [B, N - K, P] */
export function clipReconstruction(
  config: ClipAutoencoderConfig,
  clips: tf.Tensor5D,
  prediction: tf.Tensor,
  mask: Mask,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const { normaliseTarget, video } = config;
  const grid = patchGrid(video.size, video.patch);
  const patches = patchify(clipColours(config, clips), video.patch);
  const placed = inPlace(prediction, mask);
  const values = normaliseTarget
    ? denormalised(placed, { patches, hidden: maskedFlags(mask), grid, channels: 3 }, options)
    : placed;
  return {
    parts: { video: partPictures(patches, values, mask, grid, video.patch) },
    note: statisticsNote(normaliseTarget, options),
  };
}
