/**
 * AV-MAE: Audiovisual Masked Autoencoders. Georgescu, Fonseca, Ionescu, Lucic, Schmid, Arnab, ICCV 2023,
 * https://arxiv.org/abs/2212.05922
 *
 *   loss = sum_m w_m * mean over hidden patches of m, and over a patch's values, of (prediction - target)^2
 *
 * Patches of each modality are hidden at random on their own. Encoders are separate, shared by the modalities, one over all
 * tokens from the start ("early"), or separate with the last blocks over all tokens ("mid", the published choice); decoders
 * are shared, separate, or one over everything. With inpainting each modality is predicted from the other's tokens
 * alone, which stand first in its decoder's sequence.
 *
 * Any two or more arrays can stand in for video and spectrogram. Parameter layouts are PyTorch's, where the reference's are
 * flax's; what they compute and how they start is the same (tanh GELU, mask tokens and predictions at zero). Positions are
 * one interleaved sine-cosine table over each modality's tokens. Not carried over: targets of a clip's central frame or
 * in gray. Departures: a sample may lack modalities, which then are neither attended to nor scored.
 */
import type * as tf from "@tensorflow/tfjs";
import { type EncodeOptions, expect, type Method, type Random, type ReconstructOptions } from "@unmask/core";
import { z } from "zod";
import {
  type ArrayDecoderParams,
  arrayErrors,
  arrayPictures,
  decodeArrays,
  initArrayDecoder,
} from "../array-decoder.js";
import {
  type ArrayBatch,
  type ArrayEncoderParams,
  arrayFeatures,
  encodeArrays,
  initArrayEncoder,
  prepareArrays,
} from "../array-encoder.js";
import { type ArrayModality, arrayModalitySchema } from "../array-modality.js";
import type { ByModality } from "../by-modality.js";
import { count } from "../config.js";
import type { MultimodalReconstruction } from "../part-pictures.js";
import type { AlignedSample } from "../sample.js";

export interface AvMaeConfig {
  readonly modalities: Readonly<Record<string, ArrayModality>>;
  readonly encoder: "separate" | "shared" | "early" | "mid";
  readonly decoder: "shared" | "separate" | "joint";
  readonly inpainting: boolean;
  readonly modalityTokens: boolean;
  readonly width: number;
  readonly depth: number;
  readonly fusionDepth: number;
  readonly heads: number;
  readonly hidden: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderHidden: number;
  readonly standardise: boolean;
  readonly zeroPredictions: boolean;
}

const schema = z.strictObject({
  modalities: z
    .record(z.string(), arrayModalitySchema)
    .default({
      video: { size: [16, 224, 224], patch: [2, 16, 16], channels: 3, maskRatio: 0.9, weight: 0.5 },
      audio: { size: [992, 128], patch: [16, 16], channels: 1, maskRatio: 0.7, weight: 0.5 },
    })
    .describe("each modality: size, patch, channels, maskRatio, weight in the loss"),
  encoder: z
    .enum(["separate", "shared", "early", "mid"])
    .default("mid")
    .describe(
      "an encoder for each modality, one for all, one over all tokens, or separate and then joint blocks",
    ),
  decoder: z
    .enum(["shared", "separate", "joint"])
    .default("shared")
    .describe("one decoder applied to each modality, one for each, or one over all tokens"),
  inpainting: z
    .boolean()
    .default(false)
    .describe("predict each of two modalities from the other's tokens alone"),
  modalityTokens: z.boolean().default(false).describe("add a learned vector for each modality to its tokens"),
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks that a token passes, joint ones among them"),
  fusionDepth: count.default(2).describe("joint blocks of encoder mid"),
  heads: count.default(12).describe("encoder attention heads"),
  hidden: count.default(3072).describe("hidden width of the encoder's MLPs"),
  decoderWidth: count.default(384).describe("width of the decoders' tokens"),
  decoderDepth: count.default(4).describe("blocks of each decoder"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  decoderHidden: count.default(1536).describe("hidden width of the decoders' MLPs"),
  standardise: z
    .boolean()
    .default(false)
    .describe("predict each patch with its own mean and deviation taken out"),
  zeroPredictions: z.boolean().default(true).describe("predictions start at 0, as in the reference"),
}) satisfies z.ZodType<AvMaeConfig>;

const presets = {
  tiny: {
    ...{ width: 96, depth: 4, heads: 4, hidden: 384 },
    ...{ decoderWidth: 64, decoderDepth: 1, decoderHeads: 4, decoderHidden: 256 },
  },
  base: { width: 768, depth: 12, heads: 12, hidden: 3072 },
  large: {
    ...{ width: 1024, depth: 24, heads: 16, hidden: 4096 },
    ...{ decoderWidth: 512, decoderDepth: 4, decoderHeads: 8, decoderHidden: 2048 },
  },
} satisfies Record<string, Partial<AvMaeConfig>>;

export type AvMaeParams = ArrayEncoderParams & ArrayDecoderParams;

const GELU = { activation: "gelu-tanh", epsilon: 1e-6 } as const;

function init(config: AvMaeConfig, random: Random): AvMaeParams {
  const { modalities, encoder: fusion, inpainting } = config;
  const names = Object.keys(modalities);
  expect(
    !inpainting || names.length === 2,
    `av-mae: inpainting is between two modalities, got ${names.length}`,
  );
  return {
    ...initArrayEncoder(random, modalities, { ...config, fusion }),
    ...initArrayDecoder(random, modalities, config),
  };
}

function prepare(config: AvMaeConfig, samples: readonly AlignedSample[], random: Random): ArrayBatch {
  const { modalities, encoder, decoder, inpainting } = config;
  expect(
    inpainting || encoder !== "separate" || decoder !== "separate",
    "av-mae: separate encoders with separate decoders leave the modalities nothing in common; share one of them",
  );
  return prepareArrays("av-mae", modalities, samples, random);
}

function loss(params: AvMaeParams, config: AvMaeConfig, batch: ArrayBatch) {
  return arrayErrors(config.modalities, avMaePredict(params, config, batch), batch, config);
}

/** Predictions at all places of each modality, [B, N, P * C]; `watch` sees what each stack and projection gives. */
export function avMaePredict(
  params: AvMaeParams,
  config: AvMaeConfig,
  batch: ArrayBatch,
  watch?: (name: string, output: tf.Tensor) => void,
): ByModality<tf.Tensor3D> {
  const { modalities, decoder, inpainting, decoderHeads: heads } = config;
  const encoderWatch = (stack: string, output: tf.Tensor) => watch?.(`encoders.${stack}`, output);
  const encoded = encodeArrays(params, modalities, batch, { ...fuseOptions(config), watch: encoderWatch });
  return decodeArrays(params, encoded, batch, { ...GELU, decoder, inpainting, heads, watch });
}

const fuseOptions = ({ encoder: fusion, fusionDepth, heads }: AvMaeConfig) =>
  ({ ...GELU, fusion, fusionDepth, heads }) as const;

/** Default features: the mean of all tokens, of whatever modalities a sample has, [B, D]; "tokens": [B, N, D]. */
function encode(
  params: AvMaeParams,
  config: AvMaeConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean" || pool === "tokens", 'av-mae: has no class token; use pool "mean" or "tokens"');
  return arrayFeatures(params, config.modalities, samples, fuseOptions(config), pool);
}

function reconstruct(
  params: AvMaeParams,
  config: AvMaeConfig,
  batch: ArrayBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  return arrayPictures(config.modalities, avMaePredict(params, config, batch), batch, config, options);
}

export const avMae = {
  id: "av-mae",
  modality: "multimodal",
  summary:
    "Masked patches of video and sound, or of other arrays; encoders apart, shared or fused early or midway",
  paper: "Georgescu et al., Audiovisual Masked Autoencoders, ICCV 2023, arXiv 2212.05922",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<AvMaeConfig, AlignedSample, ArrayBatch, AvMaeParams, MultimodalReconstruction>;
