/** Arrays of several modalities in, features out: patches, positions, and encoders that stand to each other as fusion says. */
import * as tf from "@tensorflow/tfjs";
import { type Mask, type PatchEmbedParams, parameter, type Random, sinCosRows, takeRows } from "@unmask/core";
import { type ArrayModality, embedArray, initArrayEmbed, maskArrays, stackArrays } from "./array-modality.js";
import { type ByModality, mapModalities } from "./by-modality.js";
import { encodeByPresence } from "./encode-by-presence.js";
import {
  applyFusion,
  type FuseOptions,
  type FusionConfig,
  type FusionParams,
  initBottleneck,
  initFusion,
} from "./fusion.js";
import { joinTokens } from "./join-tokens.js";
import { type AlignedSample, presence } from "./sample.js";

export type ArrayModalities = ByModality<ArrayModality>;

export interface ArrayBatch {
  /** [B, ...size, C]; zeros where a sample lacks the modality */
  readonly inputs: ByModality<tf.Tensor>;
  readonly masks: ByModality<Mask>;
  /** [B]: 1 where a sample has the modality */
  readonly present: ByModality<Float32Array>;
}

export interface ArrayEncoderParams {
  readonly embed: ByModality<PatchEmbedParams>;
  readonly encoders: FusionParams;
  /** [1, 1, D], added to a modality's tokens */
  readonly modality_tokens?: ByModality<tf.Variable>;
  /** [1, T, D], of fusion bottleneck */
  readonly bottleneck?: tf.Variable;
}

export interface ArrayEncoderConfig extends FusionConfig {
  /** A learned vector for each modality. Default none. */
  readonly modalityTokens?: boolean;
  /** Tokens that fusion bottleneck exchanges by. Default 4. */
  readonly bottleneckTokens?: number;
}

export function initArrayEncoder(
  random: Random,
  modalities: ArrayModalities,
  config: ArrayEncoderConfig,
): ArrayEncoderParams {
  const { width, fusion, bottleneckTokens = 4 } = config;
  return {
    embed: mapModalities(modalities, (modality) => initArrayEmbed(random, modality, width)),
    ...(config.modalityTokens && { modality_tokens: modalityVectors(modalities, width) }),
    encoders: initFusion(random, Object.keys(modalities), config),
    ...(fusion === "bottleneck" && { bottleneck: initBottleneck(random, bottleneckTokens, width) }),
  };
}

/** Zeros [1, 1, D] for each modality. */
export const modalityVectors = (modalities: ArrayModalities, width: number): ByModality<tf.Variable> =>
  mapModalities(modalities, () => parameter(tf.zeros([1, 1, width])));

/** Arrays of all modalities, a mask for each and who has which. `caller` is named in errors. */
export const prepareArrays = (
  caller: string,
  modalities: ArrayModalities,
  samples: readonly AlignedSample[],
  random: Random,
): ArrayBatch => ({
  inputs: stackArrays(modalities, samples),
  masks: maskArrays(caller, modalities, samples.length, random),
  present: mapModalities(modalities, (_, name) => presence(samples, name)),
});

/** Visible tokens, or all where there are no masks, of the modalities given: [B, K, D] each. */
export function encodeArrays(
  params: ArrayEncoderParams,
  modalities: ArrayModalities,
  { inputs, masks, present }: Pick<ArrayBatch, "inputs"> & Partial<ArrayBatch>,
  options: FuseOptions,
): ByModality<tf.Tensor3D> {
  const visible = mapModalities(inputs, (input, name) => {
    const embedded = embedArray(params.embed[name]!, modalities[name]!, input);
    const tokens = withPlaces(embedded, params.modality_tokens?.[name]);
    return masks === undefined ? tokens : takeRows(tokens, masks[name]!.keep);
  });
  return applyFusion(params.encoders, visible, { ...options, present, bottleneck: params.bottleneck });
}

/** Features of whole samples, of whatever modalities they have: the mean of all tokens [B, D], or the tokens [B, N, D]. */
export function arrayFeatures(
  params: ArrayEncoderParams,
  modalities: ArrayModalities,
  samples: readonly AlignedSample[],
  options: FuseOptions,
  pool: "mean" | "tokens" = "mean",
): tf.Tensor {
  return encodeByPresence(samples, Object.keys(modalities), (group, names) => {
    const inputs = stackArrays(modalities, group, names);
    const { tokens } = joinTokens(encodeArrays(params, modalities, { inputs }, options));
    return pool === "tokens" ? tokens : tf.mean(tokens, 1);
  });
}

/** Adds positions along the sequence, and a modality's vector where there is one. */
export function withPlaces(tokens: tf.Tensor3D, vector?: tf.Tensor): tf.Tensor3D {
  const [, count, width] = tokens.shape;
  const placed = tf.add(tokens, sinCosRows(count, width)) as tf.Tensor3D;
  return vector === undefined ? placed : tf.add(placed, vector);
}
