/**
 * The denoising convolutional auto-encoder of G-SimCLR: Chakraborty, Gosthipaty, Paul, G-SimCLR: Self-Supervised Contrastive
 * Learning with Guided Projection via Pseudo Labelling, ICDMW 2020, https://arxiv.org/abs/2009.12007
 *
 *   loss = mean (sigmoid(decoder(encoder(x + 0.01 n))) - x)^2,   n ~ N(0, 1), x in [0, 1]
 *
 * Encoder: stages of 3 x 3 convolution, batch norm, ReLU and 2 x 2 max-pooling; the decoder mirrors it with doubled places
 * instead of pooling and ends in a convolution to the image's channels. A sample's code is the mean over the places of the
 * last map: what G-SimCLR clusters.
 *
 * Departures: what the encoder sees is scaled by `mean` and `std` (0 and 1 give the reference's input); batch norms have
 * PyTorch's epsilon and momentum, not Keras's; the reference stops when the validation loss has not improved for two
 * epochs, which is left to the user.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBatchNorm,
  applyConv2d,
  type BatchNormParams,
  type ConvParams,
  channelStatistics,
  type EncodeOptions,
  expect,
  initBatchNorm,
  initConv,
  mse,
  type Random,
  trainBatchNorm,
  xavierUniform,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import type { ImageReconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";
import type { ImageMethod } from "../views.js";

export interface ConvDaeConfig extends ImageInput {
  readonly widths: readonly number[];
  readonly noise: number;
}

const schema = z.strictObject({
  ...imageInputShape,
  widths: z
    .array(count)
    .min(1)
    .readonly()
    .default([32, 64, 128])
    .describe("channels of the encoder's stages; each halves the size, the last gives the code's width"),
  noise: z
    .number()
    .nonnegative()
    .default(0.01)
    .describe("deviation of the noise on the input, white being 1"),
}) satisfies z.ZodType<ConvDaeConfig>;

const presets = { tiny: { widths: [32, 64, 128] } } satisfies Record<string, Partial<ConvDaeConfig>>;

interface StageParams {
  readonly conv: ConvParams;
  readonly bn: BatchNormParams;
}

export interface ConvDaeParams {
  readonly encoder: readonly StageParams[];
  readonly decoder: readonly StageParams[];
  readonly output: ConvParams;
}

export interface ConvDaeBatch {
  /** [B, H, W, C], white being 1. */
  readonly images: tf.Tensor4D;
  /** Of the same shape. */
  readonly noise: tf.Tensor4D;
}

function init(config: ConvDaeConfig, random: Random): ConvDaeParams {
  const { widths, channels, imageSize } = config;
  const factor = 2 ** widths.length;
  expect(
    imageSize.every((side) => side % factor === 0),
    `conv-dae: imageSize ${imageSize.join("x")} cannot be halved ${widths.length} times; use multiples of ${factor}`,
  );
  const conv = (from: number, out: number) =>
    initConv(random, { channels: from, out, kernel: [3, 3], init: xavierUniform });
  const stages = (sizes: readonly number[]) =>
    sizes.slice(1).map((out, i) => ({ conv: conv(sizes[i]!, out), bn: initBatchNorm(out) }));
  const mirrored = [...widths].reverse();
  return {
    encoder: stages([channels, ...widths]),
    decoder: stages([mirrored[0]!, ...mirrored]),
    output: conv(mirrored.at(-1)!, channels),
  };
}

function prepare(config: ConvDaeConfig, samples: readonly ImageSample[], random: Random): ConvDaeBatch {
  const images = imageTensor({ ...config, mean: [0], std: [1] }, samples);
  const noise = tf.tensor4d(random.normals(images.size), images.shape);
  return { images, noise: tf.mul(noise, config.noise) };
}

function loss(params: ConvDaeParams, config: ConvDaeConfig, { images, noise }: ConvDaeBatch) {
  return { total: mse(restored(params, config, tf.add(images, noise), trainBatchNorm), images) };
}

type Norm = (params: BatchNormParams, x: tf.Tensor) => tf.Tensor;

/** What the decoder makes of noisy images, in (0, 1). */
function restored(params: ConvDaeParams, config: ConvDaeConfig, noisy: tf.Tensor4D, norm: Norm): tf.Tensor4D {
  let x = code(params, config, noisy, norm);
  for (const stage of params.decoder) x = doubled(applyStage(stage, x, norm));
  return tf.sigmoid(applyConv2d(params.output, x, { padding: 1 }));
}

/** The last map of the encoder. [B, H, W, C] -> [B, h, w, D] */
function code(params: ConvDaeParams, config: ConvDaeConfig, images: tf.Tensor4D, norm: Norm): tf.Tensor4D {
  const { mean, std } = channelStatistics(config);
  let x = tf.div(tf.sub(images, tf.tensor1d(mean)), tf.tensor1d(std)) as tf.Tensor4D;
  for (const stage of params.encoder) x = tf.maxPool(applyStage(stage, x, norm), 2, 2, "valid");
  return x;
}

const applyStage = ({ conv, bn }: StageParams, x: tf.Tensor4D, norm: Norm) =>
  tf.relu(norm(bn, applyConv2d(conv, x, { padding: 1 }))) as tf.Tensor4D;

/** Every place four times: [B, h, w, D] -> [B, 2h, 2w, D] */
function doubled(x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const twice = (rows: tf.Tensor) => tf.concat([rows, rows], 1);
  const taller = twice(x.reshape([batch * height, width * channels])); // every row of the map twice
  const wider = twice(taller.reshape([batch * 2 * height * width, channels]));
  return wider.reshape([batch, 2 * height, 2 * width, channels]);
}

function encode(
  params: ConvDaeParams,
  config: ConvDaeConfig,
  samples: readonly ImageSample[],
  { pool }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === undefined || pool === "mean" || pool === "tokens",
    `encode: conv-dae has no class token for pool "${pool}"; use "mean" or "tokens"`,
  );
  const map = code(params, config, imageTensor({ ...config, mean: [0], std: [1] }, samples), applyBatchNorm);
  const [batch, rows, columns, width] = map.shape;
  return pool === "tokens" ? map.reshape([batch, rows * columns, width]) : tf.mean(map, [1, 2]);
}

/** The pictures, with the noise that the encoder saw, and restored. */
function reconstruct(
  params: ConvDaeParams,
  config: ConvDaeConfig,
  { images, noise }: ConvDaeBatch,
): ImageReconstruction {
  const masked = tf.add(images, noise) as tf.Tensor4D;
  const reconstructed = restored(params, config, masked, applyBatchNorm);
  return {
    original: images.clone(),
    masked,
    reconstructed,
    combined: reconstructed.clone(),
    note: `second column: the input with noise of deviation ${config.noise}, nothing hidden`,
  };
}

export const convDae = {
  id: "conv-dae",
  modality: "image",
  summary: "Denoising convolutional auto-encoder: the prior that G-SimCLR clusters",
  paper: "Chakraborty et al., G-SimCLR, ICDMW 2020, arXiv 2009.12007",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies ImageMethod<ConvDaeConfig, ConvDaeBatch, ConvDaeParams, ImageReconstruction>;
