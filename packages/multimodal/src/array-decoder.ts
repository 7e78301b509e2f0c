/** Features of several modalities in, their arrays out: decoders of masked autoencoders, and what they are scored by. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  expect,
  initLinear,
  type LinearParams,
  type Mask,
  maskedFlags,
  maskedMean,
  normaliseLayer,
  parameter,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  restoreRows,
  tokenMse,
  zeros,
} from "@unmask/core";
import { type ArrayBatch, type ArrayModalities, modalityVectors, withPlaces } from "./array-encoder.js";
import { type ArrayModality, patchValues } from "./array-modality.js";
import { type ByModality, mapModalities } from "./by-modality.js";
import { applyStack, type FusionParams, initStack, jointly, type StackOptions } from "./fusion.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "./part-pictures.js";

export interface ArrayDecoderParams {
  readonly decoder_embed: ByModality<LinearParams>;
  /** [1, 1, d] */
  readonly mask_tokens: ByModality<tf.Variable>;
  /** [1, 1, d], added to a modality's tokens */
  readonly decoder_modality_tokens?: ByModality<tf.Variable>;
  /** By modality, or `all`. */
  readonly decoders: FusionParams;
  readonly predict: ByModality<LinearParams>;
}

export interface ArrayDecoderConfig {
  /** Of the encoder's tokens. */
  readonly width: number;
  /** One decoder applied to each modality, one for each, or one over all tokens. */
  readonly decoder: "shared" | "separate" | "joint";
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHidden: number;
  /** A learned vector for each modality. Default none. */
  readonly modalityTokens?: boolean;
  /** Predictions start at 0. Default false. */
  readonly zeroPredictions?: boolean;
}

export interface DecodeOptions extends StackOptions {
  readonly decoder: ArrayDecoderConfig["decoder"];
  /** Each of two modalities is predicted from the other's tokens alone, which stand first in its sequence. */
  readonly inpainting?: boolean;
  readonly watch?: (name: string, output: tf.Tensor) => void;
}

/** How predictions are scored. */
export interface ScoreOptions {
  readonly inpainting?: boolean;
  /** Each patch with its own mean and deviation taken out. */
  readonly standardise?: boolean;
}

export function initArrayDecoder(
  random: Random,
  modalities: ArrayModalities,
  config: ArrayDecoderConfig,
): ArrayDecoderParams {
  const { width, decoderWidth, decoderDepth, decoderHidden, zeroPredictions = false } = config;
  const stack = () => initStack(random, decoderWidth, decoderDepth, decoderHidden);
  const out = zeroPredictions ? { init: zeros } : {};
  return {
    decoder_embed: mapModalities(modalities, () => initLinear(random, width, decoderWidth)),
    mask_tokens: mapModalities(modalities, () => parameter(tf.zeros([1, 1, decoderWidth]))),
    ...(config.modalityTokens && { decoder_modality_tokens: modalityVectors(modalities, decoderWidth) }),
    decoders: config.decoder === "separate" ? mapModalities(modalities, stack) : { all: stack() },
    predict: mapModalities(modalities, (one) => initLinear(random, decoderWidth, patchValues(one), out)),
  };
}

/** Predictions at all places of each modality, from its visible tokens: [B, K, D] -> [B, N, P * C], channel fastest. */
export function decodeArrays(
  params: ArrayDecoderParams,
  encoded: ByModality<tf.Tensor3D>,
  { masks, present }: Pick<ArrayBatch, "masks"> & Partial<ArrayBatch>,
  options: DecodeOptions,
): ByModality<tf.Tensor3D> {
  const { inpainting, watch } = options;
  const seen = mapModalities(encoded, (tokens, name) => {
    const own = applyLinear(params.decoder_embed[name]!, tokens) as tf.Tensor3D;
    watch?.(`decoder_embed.${name}`, own);
    return own;
  });
  const all = mapModalities(seen, (own, name) => {
    const token = params.mask_tokens[name]!;
    const mask = masks[name]!;
    const restored = inpainting
      ? followedBy(seen[otherOf(seen, name)]!, token, mask.tokens)
      : restoreRows(own, token, mask);
    return withPlaces(restored, params.decoder_modality_tokens?.[name]);
  });
  const run = (key: string, tokens: tf.Tensor3D, mask?: tf.Tensor) => {
    const output = applyStack(params.decoders[key]!, tokens, options, mask);
    watch?.(`decoders.${key}`, output);
    return output;
  };
  const decode = {
    shared: () => mapModalities(all, (tokens) => run("all", tokens)),
    separate: () => mapModalities(all, (tokens, name) => run(name, tokens)),
    joint: () => jointly(all, present, (tokens, mask) => run("all", tokens, mask)),
  };
  return mapModalities(
    decode[options.decoder](),
    (tokens, name) => applyLinear(params.predict[name]!, tokens) as tf.Tensor3D,
  );
}

/** Mean squared error of each modality over its hidden patches, of samples that have it; and their weighted sum. */
export function arrayErrors(
  modalities: ArrayModalities,
  predictions: ByModality<tf.Tensor>,
  batch: ArrayBatch,
  options: ScoreOptions = {},
): { readonly total: tf.Scalar } & ByModality<tf.Scalar> {
  const terms = mapModalities(modalities, (modality, name) => {
    const errors = tokenMse(predictions[name]!, arrayTarget(modality, batch.inputs[name]!, options));
    const scored = scoredPlaces(batch, name, options);
    const none = scored.every((weight) => weight === 0);
    return none
      ? (tf.mul(tf.sum(errors), 0) as tf.Scalar)
      : maskedMean(errors, tf.tensor(scored, errors.shape));
  });
  const weighted = Object.entries(terms).map(([name, term]) => tf.mul(term, modalities[name]!.weight));
  return { total: weighted.reduce((a, b) => tf.add(a, b)) as tf.Scalar, ...terms };
}

/** [B, N]: 1 where a prediction of the modality is scored. */
export function scoredPlaces(
  { masks, present }: Pick<ArrayBatch, "masks" | "present">,
  name: string,
  { inpainting }: ScoreOptions = {},
): Float32Array {
  const mask = masks[name]!;
  const other = inpainting ? otherOf(masks, name) : name;
  return maskedFlags(mask).map((flag, i) => {
    const b = Math.floor(i / mask.tokens);
    const hidden = inpainting ? Number(i % mask.tokens >= masks[other]!.kept) : flag;
    return hidden * present[name]![b]! * present[other]![b]!;
  });
}

/** [B, N, P * C] */
export function arrayTarget(
  { patch }: ArrayModality,
  input: tf.Tensor,
  { standardise }: ScoreOptions,
): tf.Tensor3D {
  const patches = patchify(input, patch);
  return standardise ? (normaliseLayer(patches) as tf.Tensor3D) : patches;
}

/** What a person looks at. */
export function arrayPictures(
  modalities: ArrayModalities,
  predictions: ByModality<tf.Tensor>,
  batch: ArrayBatch,
  { standardise = false, ...scoring }: ScoreOptions = {},
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const parts = mapModalities(modalities, ({ size, patch }, name) => {
    const patches = patchify(batch.inputs[name]!, patch);
    const grid = patchGrid(size, patch);
    const scored = scoredPlaces(batch, name, scoring);
    const hidden = scoring.inpainting ? scored.map(() => 1) : scored; // of the one inpainted nothing was seen
    const values = standardise
      ? denormalised(predictions[name]!, { patches, hidden, grid }, options)
      : predictions[name]!;
    const { batch: samples, tokens }: Mask = batch.masks[name]!;
    return partPictures(patches, values, tf.tensor3d(scored, [samples, tokens, 1]), grid, patch);
  });
  return { parts, note: statisticsNote(standardise, options) };
}

/** Tokens, then mask tokens up to `length`. */
function followedBy(tokens: tf.Tensor3D, maskToken: tf.Tensor, length: number): tf.Tensor3D {
  const [batch, count, width] = tokens.shape;
  expect(
    count < length,
    `inpainting puts ${count} visible tokens of one modality in a sequence of ${length} of the other; hide more of the first`,
  );
  return tf.concat([tokens, tf.add(maskToken, tf.zeros([batch, length - count, width]))], 1) as tf.Tensor3D;
}

const otherOf = (two: object, name: string) => Object.keys(two).find((other) => other !== name)!;
