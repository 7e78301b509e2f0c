/** The decoder of the VideoMAE family: hidden cubes of a clip from its visible tokens. */
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
import { type ClipColours, clipColours, decoderInput, inPlace } from "./clips.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "./part-pictures.js";

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

export interface ClipDecoderConfig {
  readonly video: {
    readonly size: readonly [number, number, number];
    readonly patch: readonly [number, number, number];
  };
  readonly width: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
}

/** As PyTorch's convolutions start. */
export const initCubeEmbed = (
  random: Random,
  patch: readonly [number, number, number],
  width: number,
): PatchEmbedParams =>
  initPatchEmbed(random, {
    patch,
    channels: 3,
    width,
    init: uniform(1 / Math.sqrt(patch.reduce((a, b) => a * b, 3))),
  });

export function initClipDecoder(
  random: Random,
  { video, width, decoderWidth, decoderDepth, mlpRatio }: ClipDecoderConfig,
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

/** Predictions at the masked places: [B, K, D] -> [B, N - K, P] */
export function decodeClip(
  { encoder_to_decoder, mask_token, decoder }: ClipDecoderParams,
  { decoderHeads: heads, epsilon }: ClipDecoderConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor {
  const input = decoderInput(encoder_to_decoder, mask_token, latent, mask);
  const decoded = applyTransformer(decoder.blocks, input, { heads, epsilon });
  return applyLinear(decoder.head, applyLayerNorm(decoder.norm, decoded.slice([0, mask.kept, 0]), epsilon));
}

/** A batch of clips with hidden cubes as predicted. @param prediction [B, N - K, P] */
export function clipReconstruction(
  config: ClipColours & Pick<ClipDecoderConfig, "video"> & { readonly normaliseTarget: boolean },
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
