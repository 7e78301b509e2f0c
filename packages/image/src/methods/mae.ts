/**
 * MAE: Masked Autoencoders Are Scalable Vision Learners. He, Chen, Xie, Li, Dollár, Girshick, CVPR 2022,
 * https://arxiv.org/abs/2111.06377
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked patches of the batch
 *
 * The encoder sees the visible patches only; a small decoder sees its output and one mask token at every hidden place.
 * Departures that change no number: masked patches are never embedded, and in the loss only masked places go through the
 * decoder's last MLP and are predicted.
 * Parameter names, shapes and initial distributions are those of the reference implementation; the position tables
 * are frozen sine-cosine tables, column first. Non-square images and any number of channels are additions.
 */
import type * as tf from "@tensorflow/tfjs";
import {
  constant,
  decodeAll,
  decodeMasked,
  type EncodeOptions,
  embedPatches,
  encodeTokens,
  encodeVisible,
  initMaskedAutoencoder,
  type MaskedAutoencoderParams,
  type Method,
  mse,
  patchify,
  type Random,
  type ReconstructOptions,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import {
  type ImageInput,
  imageGrid,
  imageInputShape,
  imageTensor,
  type MaskedImages,
  maskImages,
} from "../batch.js";
import { pixelTarget } from "../pixel-target.js";
import { poolTokens } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import {
  type DecoderConfig,
  decoderShape,
  decoderSizes,
  type EncoderConfig,
  encoderShape,
  encoderSizes,
} from "../transformer-config.js";

export interface MaeConfig extends ImageInput, EncoderConfig, DecoderConfig {
  readonly maskRatio: number;
  readonly normalisePixels: boolean;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  ...decoderShape,
  maskRatio: z.number().gt(0).lt(1).default(0.75).describe("share of patches hidden from the encoder"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
}) satisfies z.ZodType<MaeConfig>;

const presets = {
  ...encoderSizes,
  tiny: { ...encoderSizes.tiny, ...decoderSizes.tiny },
  small: { ...encoderSizes.small, ...decoderSizes.small },
} satisfies Record<string, Partial<MaeConfig>>;

export type MaeParams = MaskedAutoencoderParams;

export type MaeBatch = MaskedImages;

function init(config: Omit<MaeConfig, "maskRatio">, random: Random): MaeParams {
  return initMaskedAutoencoder(random, { ...config, grid: imageGrid(config) });
}

function loss(params: MaeParams, config: MaeConfig, { images, mask }: MaeBatch): { total: tf.Scalar } {
  const patches = patchify(images, config.patchSize); // [B, N, P]
  const target = constant(() => pixelTarget(config, takeRows(patches, mask.masked)));
  const latent = encodeVisible(params, config, patches, mask);
  const prediction = decodeMasked(params, config, latent, mask); // [B, N - K, P]
  return { total: mse(prediction, target) };
}

function encode(
  params: MaeParams,
  config: MaeConfig,
  samples: readonly ImageSample[],
  { pool = "cls" }: EncodeOptions = {},
): tf.Tensor {
  const patches = patchify(imageTensor(config, samples), config.patchSize);
  return poolTokens(encodeTokens(params, config, embedPatches(params, patches)), pool);
}

function reconstruct(
  params: MaeParams,
  config: MaeConfig,
  { images, mask }: MaeBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const patches = patchify(images, config.patchSize);
  const prediction = decodeAll(params, config, encodeVisible(params, config, patches, mask), mask);
  return reconstruction(config, { patches, prediction, mask, normalised: config.normalisePixels }, options);
}

export const mae = {
  id: "mae",
  modality: "image",
  summary:
    "Masked autoencoder: an encoder of visible patches, a light decoder, pixels of the hidden ones as target",
  paper: "He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, arXiv 2111.06377",
  schema,
  presets,
  init,
  prepare: maskImages,
  loss,
  encode,
  reconstruct,
} satisfies Method<MaeConfig, ImageSample, MaeBatch, MaeParams, ImageReconstruction>;
