/**
 * AudioMAE: Masked Autoencoders that Listen. Huang, Xu, Li, Baevski, Auli, Galuba, Metze, Feichtenhofer, NeurIPS 2022,
 * https://arxiv.org/abs/2207.06405
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked patches of the batch
 *
 * MAE on log-mel spectrograms: most patches are hidden, at random or as whole time steps and frequency bands, and a
 * decoder predicts them. Its blocks see all tokens, or (`decoder: "local"`) windows of the grid of patches that move by
 * half a window in every other block, without the class token.
 * Quirk: the reference lays its position table out over [bands, frames], tokens over [frames, bands]; on a grid that is
 * not square a token's row of the table is then that of another place. `positions: "reference"` does the same, so that
 * its checkpoints and numbers are ours; `"aligned"` does not.
 * Departures that change no number: masked patches are never embedded, the global decoder predicts masked places only. The
 * local decoder drops nothing in training (see local-attention.ts), and windows and grids of any size are an addition.
 */
import type * as tf from "@tensorflow/tfjs";
import {
  applyTransformer,
  type BlockParams,
  decoderInput,
  type EncodeOptions,
  embedPatches,
  encodeTokens,
  encodeVisible,
  initMaskedAutoencoder,
  type Mask,
  type MaskedAutoencoderParams,
  type Method,
  mse,
  normaliseJoint,
  patchify,
  predictPatches,
  type Random,
  type ReconstructOptions,
  randomMask,
  sizeSchema,
  takeRows,
  timeFrequencyMask,
} from "@unmask/core";
import { z } from "zod";
import { type AudioInput, audioGrid, audioInputShape, spectrogramTensor } from "../batch.js";
import { poolBands, poolTokens } from "../pool.js";
import { type AudioReconstruction, reconstruction } from "../reconstruction.js";
import type { AudioSample } from "../sample.js";
import { count, type EncoderConfig, encoderShape, encoderSizes, hiddenWidth } from "../transformer-config.js";
import { applyLocalTransformer, initLocalBlock, type LocalBlockParams } from "./local-attention.js";

export interface AudioMaeConfig extends AudioInput, EncoderConfig {
  readonly masking: "random" | "time-frequency";
  readonly maskRatio: number;
  readonly timeMaskRatio: number;
  readonly frequencyMaskRatio: number;
  readonly decoder: "global" | "local";
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly windowSize: readonly [number, number];
  readonly normalisePatches: boolean;
  readonly positions: "reference" | "aligned";
  readonly features: "bands" | "all";
}

const ratio = (value: number) => z.number().min(0).lt(1).default(value);

const schema = z.strictObject({
  ...audioInputShape,
  ...encoderShape,
  masking: z
    .enum(["random", "time-frequency"])
    .default("random")
    .describe("hide patches at random, or whole time steps and whole frequency bands"),
  maskRatio: z.number().gt(0).lt(1).default(0.8).describe("share of patches hidden by random masking"),
  timeMaskRatio: ratio(0.6).describe("share of time steps hidden by time-frequency masking; may be 0"),
  frequencyMaskRatio: ratio(0.5).describe(
    "share of frequency bands hidden by time-frequency masking; may be 0",
  ),
  decoder: z
    .enum(["global", "local"])
    .default("global")
    .describe("what decoder blocks see: all tokens, or windows that move by half in every other block"),
  decoderWidth: count.default(512).describe("width of the decoder's tokens"),
  decoderDepth: count.default(8).describe("decoder blocks; the paper takes 16 local ones"),
  decoderHeads: count.default(16).describe("decoder attention heads"),
  windowSize: sizeSchema("patches over time and frequency in a window of the local decoder").default([4, 4]),
  normalisePatches: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
  positions: z
    .enum(["reference", "aligned"])
    .default("reference")
    .describe(
      "layout of the position table: the reference's, swapped on grids that are not square, or that of the tokens",
    ),
  features: z
    .enum(["bands", "all"])
    .default("bands")
    .describe(
      "what features are the mean of: tokens of each frequency over recorded time, side by side, or all tokens (the paper's)",
    ),
}) satisfies z.ZodType<AudioMaeConfig>;

const local = { decoder: "local", decoderDepth: 16 } as const;

const presets = {
  tiny: { ...encoderSizes.tiny, decoderWidth: 128, decoderDepth: 4, decoderHeads: 4 },
  small: { ...encoderSizes.small, decoderWidth: 256, decoderDepth: 4, decoderHeads: 8 },
  base: { ...encoderSizes.base },
  "base-local": { ...encoderSizes.base, ...local },
  large: { ...encoderSizes.large },
  "large-local": { ...encoderSizes.large, ...local },
} satisfies Record<string, Partial<AudioMaeConfig>>;

/** With `decoder: "local"` the decoder's blocks are those of local-attention.ts. */
export type AudioMaeParams = MaskedAutoencoderParams<readonly BlockParams[] | readonly LocalBlockParams[]>;

export interface AudioMaeBatch {
  /** [B, frames, bands, channels], normalised. */
  readonly spectrograms: tf.Tensor4D;
  readonly mask: Mask;
}

function init(config: AudioMaeConfig, random: Random): AudioMaeParams {
  const { mlpRatio, decoderWidth: width, decoderHeads: heads } = config;
  const [times, frequencies] = audioGrid("audio-mae", config);
  const grid: [number, number] = config.positions === "aligned" ? [times, frequencies] : [frequencies, times];
  const shape = { ...config, grid, decoderMlpRatio: mlpRatio };
  if (config.decoder === "global") return initMaskedAutoencoder(random, shape);
  const localBlock = { width, hidden: hiddenWidth(width, mlpRatio), heads };
  return initMaskedAutoencoder(random, shape, () => initLocalBlock(random, localBlock));
}

function prepare(config: AudioMaeConfig, samples: readonly AudioSample[], random: Random): AudioMaeBatch {
  return { spectrograms: spectrogramTensor(config, samples), mask: drawMask(config, samples.length, random) };
}

function drawMask(config: AudioMaeConfig, batch: number, random: Random): Mask {
  const { timeMaskRatio: timeRatio, frequencyMaskRatio: frequencyRatio } = config;
  const grid = audioGrid("audio-mae", config);
  switch (config.masking) {
    case "random":
      return randomMask({ batch, tokens: grid[0] * grid[1], ratio: config.maskRatio }, random);
    case "time-frequency":
      return timeFrequencyMask({ batch, grid, timeRatio, frequencyRatio }, random);
  }
}

function loss(params: AudioMaeParams, config: AudioMaeConfig, { spectrograms, mask }: AudioMaeBatch) {
  const patches = patchify(spectrograms, config.patchSize); // [B, N, P]
  const latent = encodeVisible(params, config, patches, mask);
  const masked = takeRows(decoded(params, config, latent, mask), mask.masked); // [B, N - K, decoder D]
  const target = patchTarget(config, takeRows(patches, mask.masked));
  return { total: mse(predictPatches(params, config, masked), target) };
}

/** The tokens of all patches after the decoder's blocks: [B, 1 + K, D] -> [B, N, decoder D] */
function decoded(params: AudioMaeParams, config: AudioMaeConfig, latent: tf.Tensor, mask: Mask): tf.Tensor3D {
  const { decoderHeads: heads, epsilon, windowSize: window } = config;
  const input = audioDecoderInput(params, config, latent, mask);
  if (config.decoder === "local") {
    const grid = audioGrid("audio-mae", config);
    const blocks = params.decoder_blocks as readonly LocalBlockParams[];
    return applyLocalTransformer(blocks, input, { grid, window, heads, epsilon });
  }
  const blocks = params.decoder_blocks as readonly BlockParams[];
  return applyTransformer(blocks, input, { heads, epsilon }).slice([0, 1, 0]) as tf.Tensor3D;
}

/** What the decoder's blocks see: every token in its place with its position; local blocks see no class token. */
export function audioDecoderInput(
  params: AudioMaeParams,
  { decoder }: AudioMaeConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  const tokens = decoderInput(params as MaskedAutoencoderParams, latent, mask); // [B, 1 + N, decoder D]
  return decoder === "local" ? tokens.slice([0, 1, 0]) : tokens;
}

/** Predictions at every place: [B, 1 + K, D] -> [B, N, P] */
export function decodeSpectrogram(
  params: AudioMaeParams,
  config: AudioMaeConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  return predictPatches(params, config, decoded(params, config, latent, mask));
}

/** What is predicted: the patches themselves, or each with its own mean and deviation taken out. [B, N, P] */
export function patchTarget({ normalisePatches }: AudioMaeConfig, patches: tf.Tensor3D): tf.Tensor3D {
  return normalisePatches ? (normaliseJoint(patches) as tf.Tensor3D) : patches;
}

function encode(
  params: AudioMaeParams,
  config: AudioMaeConfig,
  samples: readonly AudioSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const patches = patchify(spectrogramTensor(config, samples), config.patchSize);
  const tokens = encodeTokens(params, config, embedPatches(params, patches));
  if (config.features === "all") return poolTokens(tokens, pool);
  return poolBands(tokens, pool, { samples, grid: audioGrid("audio-mae", config) });
}

function reconstruct(
  params: AudioMaeParams,
  config: AudioMaeConfig,
  { spectrograms, mask }: AudioMaeBatch,
  options: ReconstructOptions = {},
): AudioReconstruction {
  const patches = patchify(spectrograms, config.patchSize);
  const prediction = decodeSpectrogram(params, config, encodeVisible(params, config, patches, mask), mask);
  const predicted = { patches, prediction, mask, normalised: config.normalisePatches };
  return reconstruction(config, predicted, options);
}

export const audioMae = {
  id: "audio-mae",
  modality: "audio",
  summary:
    "Masked autoencoder of log-mel spectrograms, with random or time-frequency masks and a global or local decoder",
  paper: "Huang et al., Masked Autoencoders that Listen, NeurIPS 2022, arXiv 2207.06405",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<AudioMaeConfig, AudioSample, AudioMaeBatch, AudioMaeParams, AudioReconstruction>;
