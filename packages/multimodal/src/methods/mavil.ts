/**
 * MAViL: Masked Audio-Video Learners. Huang, Sharma, Xu, Ryali, Fan, Li, Li, Ghosh, Malik, Feichtenhofer, NeurIPS 2023,
 * https://arxiv.org/abs/2212.08071
 *
 *   loss = sum_m w_m * 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2        M: hidden patches of modality m
 *        + interWeight * mean over pairs (m, n) of InfoNCE(z_m, z_n; interTemperature)
 *        + intraWeight * sum_m InfoNCE(z_m, z'_m; intraTemperature)
 *
 * Patches of each modality are hidden twice, by two independent draws. The first view is encoded by an encoder for each modality,
 * then by joint blocks, and decoded by a decoder for each. z_m is the mean of the first view's tokens after the modality's
 * own encoder, before the joint blocks, through a projector Linear-GELU-Linear; z'_m that of the second view, which no
 * decoder sees. InfoNCE is symmetric, its negatives are those of the batch. This file is the first stage, whose targets are the
 * patches, each with its own mean and deviation (N - 1) taken out; the second, `mavil-features`, predicts what a frozen model
 * of this one makes of everything.
 *
 * The authors published no code for this method. The arrangement, the weights and both temperatures are our reading of the paper.
 * Departures: any two or more arrays can stand in for video and sound; positions are one interleaved sine-cosine table
 * over each modality's tokens; the two views differ by their masks alone; a sample may lack modalities, which then are
 * neither attended to nor scored nor contrasted.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type EncodeOptions,
  expect,
  gelu,
  initLinear,
  type LinearParams,
  type LossTerms,
  l2Normalise,
  type Mask,
  type Method,
  maskedMean,
  normaliseJoint,
  patchify,
  type Random,
  type ReconstructOptions,
  tokenMse,
} from "@unmask/core";
import { z } from "zod";
import {
  type ArrayDecoderParams,
  arrayPictures,
  decodeArrays,
  initArrayDecoder,
  scoredPlaces,
} from "../array-decoder.js";
import {
  type ArrayBatch,
  type ArrayEncoderParams,
  arrayFeatures,
  encodeArrays,
  initArrayEncoder,
  prepareArrays,
} from "../array-encoder.js";
import { type ArrayModality, arrayModalitySchema, maskArrays } from "../array-modality.js";
import { type ByModality, mapModalities } from "../by-modality.js";
import { count, ratio } from "../config.js";
import { applyStack, jointly } from "../fusion.js";
import { pairwiseContrast } from "../pairwise-contrast.js";
import type { MultimodalReconstruction } from "../part-pictures.js";
import { type AlignedSample, stackParts } from "../sample.js";

/** What both stages have. */
export interface MavilSizes {
  readonly modalities: Readonly<Record<string, ArrayModality>>;
  readonly width: number;
  readonly depth: number;
  readonly fusionDepth: number;
  readonly heads: number;
  readonly hidden: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderHidden: number;
  readonly projectorHidden: number;
  readonly projectorWidth: number;
  readonly interWeight: number;
  readonly intraWeight: number;
  readonly interTemperature: number;
  readonly intraTemperature: number;
}

export interface MavilConfig extends MavilSizes {
  readonly standardise: boolean;
}

const weight = z.number().nonnegative();
const temperature = z.number().positive();

const modalitySchema = arrayModalitySchema.extend({
  maskRatio: ratio("share of patches hidden").default(0.8),
  weight: z.number().positive().default(1),
});

/** Options of both stages. */
export const mavilShape = {
  modalities: z
    .record(z.string(), modalitySchema)
    .default({
      video: { size: [8, 224, 224], patch: [2, 16, 16], channels: 3, maskRatio: 0.8, weight: 1 },
      audio: { size: [1024, 128], patch: [16, 16], channels: 1, maskRatio: 0.8, weight: 1 },
    })
    .describe("each modality: size, patch, channels, maskRatio, weight of its prediction in the loss"),
  width: count.default(768).describe("width of the encoders' tokens"),
  depth: count.default(12).describe("blocks of each modality's encoder"),
  fusionDepth: count.default(2).describe("joint blocks after them"),
  heads: count.default(12).describe("encoder attention heads"),
  hidden: count.default(3072).describe("hidden width of the encoders' MLPs"),
  decoderWidth: count.default(512).describe("width of the decoders' tokens"),
  decoderDepth: count.default(8).describe("blocks of each modality's decoder"),
  decoderHeads: count.default(16).describe("decoder attention heads"),
  decoderHidden: count.default(2048).describe("hidden width of the decoders' MLPs"),
  projectorHidden: count.default(768).describe("hidden width of the projectors"),
  projectorWidth: count.default(256).describe("width of the space that modalities and views meet in"),
  interWeight: weight.default(0.1).describe("of the contrast between modalities"),
  intraWeight: weight.default(0.01).describe("of the contrast between two views of one modality"),
  interTemperature: temperature.default(0.1).describe("of the contrast between modalities"),
  intraTemperature: temperature.default(1).describe("of the contrast between two views of one modality"),
};

const schema = z.strictObject({
  ...mavilShape,
  standardise: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out"),
}) satisfies z.ZodType<MavilConfig>;

export const mavilPresets = {
  tiny: {
    ...{ width: 96, depth: 3, fusionDepth: 1, heads: 4, hidden: 384 },
    ...{ decoderWidth: 64, decoderDepth: 1, decoderHeads: 4, decoderHidden: 256 },
    ...{ projectorHidden: 96, projectorWidth: 64 },
  },
  base: { width: 768, depth: 12, fusionDepth: 2, heads: 12, hidden: 3072 },
} satisfies Record<string, Partial<MavilSizes>>;

export interface MavilParams extends ArrayEncoderParams, ArrayDecoderParams {
  readonly projectors: ByModality<{ readonly hidden: LinearParams; readonly out: LinearParams }>;
}

export interface MavilBatch extends ArrayBatch {
  /** Of the second view, which is contrasted with the first. */
  readonly secondMasks: ByModality<Mask>;
}

const BLOCK = { activation: "gelu", epsilon: 1e-6 } as const;

/** @param predicted values that a token is predicted as, by modality: as a modality of such patches */
export function initMavil(
  config: MavilSizes,
  random: Random,
  predicted: ByModality<ArrayModality>,
): MavilParams {
  const { modalities, width, depth, fusionDepth, projectorHidden, projectorWidth } = config;
  const names = Object.keys(modalities);
  expect(
    names.length > 1,
    `mavil: takes two or more modalities, got ${names.join(", ") || "none"}; for one use the method of its own package`,
  );
  return {
    ...initArrayEncoder(random, modalities, { ...config, fusion: "mid", depth: depth + fusionDepth }),
    ...initArrayDecoder(random, predicted, { ...config, decoder: "separate" }),
    projectors: mapModalities(modalities, () => ({
      hidden: initLinear(random, width, projectorHidden),
      out: initLinear(random, projectorHidden, projectorWidth),
    })),
  };
}

/** Arrays and the two masks of each. */
export function prepareMavil(
  { modalities }: MavilSizes,
  samples: readonly AlignedSample[],
  random: Random,
): MavilBatch {
  return {
    ...prepareArrays("mavil", modalities, samples, random),
    secondMasks: maskArrays("mavil", modalities, samples.length, random.child("second")),
  };
}

/**
 * Loss terms of either stage.
 * @param targets [B, N, P] by modality, what the tokens are predicted as
 */
export function mavilLoss(
  params: MavilParams,
  config: MavilSizes,
  batch: MavilBatch,
  targets: ByModality<tf.Tensor>,
): LossTerms {
  const first = encodeAlone(params, config, batch, batch.masks);
  const second = encodeAlone(params, config, batch, batch.secondMasks);
  const predicted = decodeFused(params, config, first, batch);
  const errors = mapModalities(targets, (target, name) =>
    hiddenError(tokenMse(predicted[name]!, target), scoredPlaces(batch, name)),
  );
  const views = [first, second].map((tokens) =>
    mapModalities(tokens, (own, name) => project(params, name, own)),
  );
  const { inter, intra } = mavilContrast(views[0]!, views[1]!, batch.present, config);
  const weighted = [
    ...Object.entries(errors).map(([name, error]) => tf.mul(error, config.modalities[name]!.weight)),
    tf.mul(inter, config.interWeight),
    tf.mul(intra, config.intraWeight),
  ];
  return { total: tf.addN(weighted) as tf.Scalar, ...errors, inter, intra };
}

/**
 * The two contrasts, unweighted: between the modalities of the first view, and between the two views of each modality.
 * @param first [B, D] by modality
 * @param second the same of the second view
 * @param present [B] by modality: 1 where a sample has it
 */
export function mavilContrast(
  first: ByModality<tf.Tensor>,
  second: ByModality<tf.Tensor>,
  present: ByModality<Float32Array>,
  { interTemperature, intraTemperature }: Pick<MavilSizes, "interTemperature" | "intraTemperature">,
): { readonly inter: tf.Scalar; readonly intra: tf.Scalar } {
  const own = Object.keys(first).map((name) => {
    const there = { first: present[name]!, second: present[name]! };
    const views = { first: first[name]!, second: second[name]! };
    return pairwiseContrast(views, { present: there, temperature: intraTemperature }).mean;
  });
  return {
    inter: pairwiseContrast(first, { present, temperature: interTemperature }).mean,
    intra: tf.addN(own) as tf.Scalar,
  };
}

/** What patches are predicted as: [B, N, P * C] */
export const mavilTarget = (
  { patch }: ArrayModality,
  input: tf.Tensor,
  { standardise }: Pick<MavilConfig, "standardise">,
): tf.Tensor => (standardise ? normaliseJoint(patchify(input, patch)) : patchify(input, patch));

/** Visible tokens after their own modality's encoder: [B, K, D] each. */
const encodeAlone = (
  params: MavilParams,
  { modalities, heads, fusionDepth }: MavilSizes,
  { inputs }: MavilBatch,
  masks: ByModality<Mask>,
) =>
  encodeArrays(params, modalities, { inputs, masks }, { ...BLOCK, fusion: "separate", fusionDepth, heads });

/** Joint blocks, then each modality's decoder: [B, N, P] each. */
function decodeFused(
  params: MavilParams,
  { heads, decoderHeads }: MavilSizes,
  alone: ByModality<tf.Tensor3D>,
  batch: MavilBatch,
): ByModality<tf.Tensor3D> {
  const fused = jointly(alone, batch.present, (tokens, mask) =>
    applyStack(params.encoders.all!, tokens, { ...BLOCK, heads }, mask),
  );
  return decodeArrays(params, fused, batch, { ...BLOCK, decoder: "separate", heads: decoderHeads });
}

/** [B, N, D] -> [B, d] */
function project({ projectors }: MavilParams, name: string, tokens: tf.Tensor): tf.Tensor {
  const { hidden, out } = projectors[name]!;
  return applyLinear(out, gelu(applyLinear(hidden, tf.mean(tokens, 1))));
}

/** Mean over the places scored; 0 where there are none. */
function hiddenError(errors: tf.Tensor, scored: Float32Array): tf.Scalar {
  const none = scored.every((flag) => flag === 0);
  return none ? tf.mul(tf.sum(errors), 0) : maskedMean(errors, tf.tensor(scored, errors.shape));
}

/** Default features: the mean of all fused tokens, of whatever modalities a sample has, [B, D]; "tokens": [B, N, D]. */
export function encodeMavil(
  params: MavilParams,
  { modalities, heads, fusionDepth }: MavilSizes,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean" || pool === "tokens", 'mavil: has no class token; use pool "mean" or "tokens"');
  return arrayFeatures(params, modalities, samples, { ...BLOCK, fusion: "mid", fusionDepth, heads }, pool);
}

/** Unit rows [B, projectorWidth] of one modality of whole samples that have it, in the space that the contrast makes. */
export function embedMavil(
  params: MavilParams,
  { modalities, heads, fusionDepth }: MavilSizes,
  samples: readonly AlignedSample[],
  name: string,
): tf.Tensor2D {
  const modality = modalities[name];
  expect(
    modality !== undefined && samples.every(({ parts }) => parts[name] !== undefined),
    () => `embedMavil: expected samples with ${name}, one of ${Object.keys(modalities).join(", ")}`,
  );
  return tf.tidy(() => {
    const inputs = { [name]: stackParts(samples, name, [...modality.size, modality.channels]) };
    const options = { ...BLOCK, fusion: "separate", fusionDepth, heads } as const;
    const tokens = encodeArrays(params, modalities, { inputs }, options)[name]!;
    return l2Normalise(project(params, name, tokens)) as tf.Tensor2D;
  });
}

export const mavil = {
  id: "mavil",
  modality: "multimodal",
  summary:
    "Masked patches of video and sound, joint blocks, and contrast between modalities and between two masks",
  paper: "Huang et al., MAViL: Masked Audio-Video Learners, NeurIPS 2023, arXiv 2212.08071",
  schema,
  presets: mavilPresets,
  init: (config, random) => initMavil(config, random, config.modalities),
  prepare: prepareMavil,
  loss(params, config, batch) {
    const targets = mapModalities(batch.inputs, (input, name) =>
      mavilTarget(config.modalities[name]!, input, config),
    );
    return mavilLoss(params, config, batch, targets);
  },
  encode: encodeMavil,
  reconstruct(params, config, batch, options?: ReconstructOptions) {
    const alone = encodeAlone(params, config, batch, batch.masks);
    return arrayPictures(
      config.modalities,
      decodeFused(params, config, alone, batch),
      batch,
      config,
      options,
    );
  },
} satisfies Method<MavilConfig, AlignedSample, MavilBatch, MavilParams, MultimodalReconstruction>;
