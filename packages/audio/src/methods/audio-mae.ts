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
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  buffer,
  type EncodeOptions,
  gatherAny,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  normal,
  normaliseJoint,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  type ReconstructOptions,
  randomMask,
  restoreRows,
  sinCos2d,
  takeRows,
  timeFrequencyMask,
  withClassToken,
} from "@unmask/core";
import { z } from "zod";
import { type AudioInput, audioGrid, audioInputShape, sizeSchema, spectrogramTensor } from "../batch.js";
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

export interface AudioMaeParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; the row of the class token is zero. */
  readonly pos_embed: tf.Variable;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, 1 + N, decoder D], frozen. */
  readonly decoder_pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
  readonly decoder_embed: LinearParams;
  /** With `decoder: "local"` those of local-attention.ts. */
  readonly decoder_blocks: readonly BlockParams[] | readonly LocalBlockParams[];
  readonly decoder_norm: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

export interface AudioMaeBatch {
  /** [B, frames, bands, channels], normalised. */
  readonly spectrograms: tf.Tensor4D;
  readonly mask: Mask;
}

function init(config: AudioMaeConfig, random: Random): AudioMaeParams {
  const { patchSize, channels, width, depth, mlpRatio, qkvBias, decoderWidth, decoderDepth } = config;
  const [times, frequencies] = audioGrid("audio-mae", config);
  const grid: [number, number] = config.positions === "aligned" ? [times, frequencies] : [frequencies, times];
  const table = (of: number) => buffer(sinCos2d(grid, of, { cls: true }).expandDims(0));
  const bias = qkvBias ? "all" : "none";
  const hidden = hiddenWidth(decoderWidth, mlpRatio);
  const localBlock = { width: decoderWidth, hidden, heads: config.decoderHeads };
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: table(width),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    decoder_pos_embed: table(decoderWidth),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, { width, hidden: hiddenWidth(width, mlpRatio), qkvBias: bias }),
    norm: initLayerNorm(width),
    decoder_embed: initLinear(random, width, decoderWidth),
    decoder_blocks:
      config.decoder === "local"
        ? Array.from({ length: decoderDepth }, () => initLocalBlock(random, localBlock))
        : initTransformer(random, decoderDepth, { width: decoderWidth, hidden, qkvBias: bias }),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, patchSize[0] * patchSize[1] * channels),
  };
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
  return { total: mse(predict(params, config, masked), target) };
}

/** Patches to tokens, each with its position: [B, K, P] and the places of the K patches, all in order by default -> [B, K, D]. */
export function embedPatches(params: AudioMaeParams, patches: tf.Tensor, places?: Int32Array): tf.Tensor3D {
  const tokens = applyPatchEmbed(params.patch_embed, patches);
  const [, length, width] = params.pos_embed.shape as [number, number, number];
  const table = params.pos_embed.slice([0, 1, 0], [1, length - 1, width]);
  if (places === undefined) return tf.add(tokens, table);
  return tf.add(tokens, gatherAny(table.reshape([length - 1, width]), places).reshape(tokens.shape));
}

/** Class token in front, all blocks, final norm: [B, K, D] -> [B, 1 + K, D] */
function encodeTokens(params: AudioMaeParams, { heads, epsilon }: AudioMaeConfig, tokens: tf.Tensor3D) {
  const cls = tf.add(params.cls_token, params.pos_embed.slice([0, 0, 0], [1, 1, -1])); // its position is a row of zeros
  const encoded = applyTransformer(params.blocks, prependToken(cls, tokens), { heads, epsilon });
  return applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D;
}

/** The encoder on visible patches only: all patches [B, N, P] -> [B, 1 + K, D], class token first. */
export function encodeVisible(
  params: AudioMaeParams,
  config: AudioMaeConfig,
  patches: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  return encodeTokens(params, config, embedPatches(params, takeRows(patches, mask.keep), mask.keep));
}

/** What the decoder's blocks see: every token in its place with its position; local blocks see no class token. */
export function decoderInput(
  params: AudioMaeParams,
  { decoder }: AudioMaeConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  const visible = applyLinear(params.decoder_embed, latent);
  const all = restoreRows(visible, params.mask_token, withClassToken(mask));
  const tokens = tf.add(all, params.decoder_pos_embed) as tf.Tensor3D; // [B, 1 + N, decoder D]
  return decoder === "local" ? tokens.slice([0, 1, 0]) : tokens;
}

/** The tokens of all patches after the decoder's blocks: [B, 1 + K, D] -> [B, N, decoder D] */
function decoded(params: AudioMaeParams, config: AudioMaeConfig, latent: tf.Tensor, mask: Mask): tf.Tensor3D {
  const { decoderHeads: heads, epsilon, windowSize: window } = config;
  const input = decoderInput(params, config, latent, mask);
  if (config.decoder === "local") {
    const grid = audioGrid("audio-mae", config);
    const blocks = params.decoder_blocks as readonly LocalBlockParams[];
    return applyLocalTransformer(blocks, input, { grid, window, heads, epsilon });
  }
  const blocks = params.decoder_blocks as readonly BlockParams[];
  return applyTransformer(blocks, input, { heads, epsilon }).slice([0, 1, 0]) as tf.Tensor3D;
}

/** Predictions at every place: [B, 1 + K, D] -> [B, N, P] */
export function decodeAll(
  params: AudioMaeParams,
  config: AudioMaeConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  return predict(params, config, decoded(params, config, latent, mask));
}

function predict(params: AudioMaeParams, { epsilon }: AudioMaeConfig, tokens: tf.Tensor): tf.Tensor3D {
  const normed = applyLayerNorm(params.decoder_norm, tokens, epsilon);
  return applyLinear(params.decoder_pred, normed) as tf.Tensor3D;
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
  const prediction = decodeAll(params, config, encodeVisible(params, config, patches, mask), mask);
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
