/**
 * Edge-MAE, the pretraining of SLMT-Net and MT-Net: Li, Zhou, He, Zhou, Shen, Multi-Scale Transformer Network with Edge-Aware
 * Pre-Training for Cross-Modality MR Image Synthesis, IEEE TMI 2023, https://arxiv.org/abs/2212.01108
 *
 *   loss = a mean_{i in M} w_i mean_j (image_ij - x_ij)^2 + b mean_{i in M} w_i mean_j (edge_ij - E(x)_ij)^2
 *   w_i = 1 + share of hidden patches among i and its eight neighbours,   M: the masked patches of the batch
 *
 * MAE with two heads on one decoder: the pixels, and E, the size of Sobel's gradient, at most 1, both behind a sigmoid. A
 * patch deep inside a hole weighs more than one beside what is seen. Sums are divided by the number of hidden patches, not
 * by the weights.
 * The reference's quirks, kept: the weight that fades from easy patches to hard ones is in its source, but compares the epoch
 * with half of itself and so is never reached (`weighting: "shallow"` is that one); its option "l1" squares; blocks
 * of the single heads are declared and never run, and are left out here. Departures: targets are pixels between 0 and 1
 * whatever mean and deviation the input is normalised by; any number of channels; masked patches are never embedded.
 */
import * as tf from "@tensorflow/tfjs";
import {
  channelStatistics,
  constant,
  decodeTokens,
  type EncodeOptions,
  embedPatches,
  encodeTokens,
  encodeVisible,
  initLayerNorm,
  initLinear,
  initMaskedAutoencoder,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type MaskedAutoencoderParams,
  type Method,
  maskedFlags,
  patchify,
  predictPatches,
  type Random,
  type ReconstructOptions,
  takeRows,
  tokenMse,
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
import { poolTokens } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import {
  count,
  type DecoderConfig,
  decoderShape,
  type EncoderConfig,
  encoderShape,
} from "../transformer-config.js";

export interface EdgeMaeConfig extends ImageInput, EncoderConfig, DecoderConfig {
  readonly maskRatio: number;
  readonly imageWeight: number;
  readonly edgeWeight: number;
  readonly weighting: "deep" | "shallow";
  readonly weightImage: boolean;
}

const schema = z.strictObject({
  ...imageInputShape,
  channels: count.default(1).describe("channels of the input"),
  mean: imageInputShape.mean.default([0]),
  std: imageInputShape.std.default([1]),
  ...encoderShape,
  imageSize: imageInputShape.imageSize.default([256, 256]),
  patchSize: encoderShape.patchSize.default([8, 8]),
  width: count.default(128).describe("width of the encoder's tokens"),
  heads: count.default(16).describe("encoder attention heads"),
  ...decoderShape,
  decoderWidth: count.default(64).describe("width of the decoder's tokens"),
  decoderHeads: count.default(8).describe("decoder attention heads"),
  epsilon: z.number().positive().default(1e-5).describe("epsilon of the layer norms"),
  maskRatio: z.number().gt(0).lt(1).default(0.7).describe("share of patches hidden from the encoder"),
  imageWeight: z.number().min(0).default(10).describe("weight of the error of the pixels"),
  edgeWeight: z.number().min(0).default(1).describe("weight of the error of the edges"),
  weighting: z
    .enum(["deep", "shallow"])
    .default("deep")
    .describe("which patches weigh more: those with hidden neighbours, or those with visible ones"),
  weightImage: z.boolean().default(true).describe("weigh patches in the error of the pixels too"),
}) satisfies z.ZodType<EdgeMaeConfig>;

const presets = {
  tiny: { width: 96, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
  base: {},
} satisfies Record<string, Partial<EdgeMaeConfig>>;

export interface EdgeMaeParams extends Omit<MaskedAutoencoderParams, "decoder_norm" | "decoder_pred"> {
  readonly rec_norm: LayerNormParams;
  readonly rec_pred: LinearParams;
  readonly edge_norm: LayerNormParams;
  readonly edge_pred: LinearParams;
}

export type EdgeMaeBatch = MaskedImages;

function init(config: EdgeMaeConfig, random: Random): EdgeMaeParams {
  const { decoder_norm, decoder_pred, ...shared } = initMaskedAutoencoder(random, {
    ...config,
    grid: imageGrid(config),
  });
  const { decoderWidth } = config;
  return {
    ...shared,
    ...{ rec_norm: decoder_norm, rec_pred: decoder_pred },
    edge_norm: initLayerNorm(decoderWidth),
    edge_pred: initLinear(random, decoderWidth, decoder_pred.weight.shape[0]!),
  };
}

function loss(params: EdgeMaeParams, config: EdgeMaeConfig, { images, mask }: EdgeMaeBatch) {
  const patches = patchify(images, config.patchSize);
  const hidden = (map: tf.Tensor4D) => takeRows(patchify(map, config.patchSize), mask.masked); // [B, M, P]
  const gray = constant(() => grayValues(config, images)) as tf.Tensor4D;
  const pixels = constant(() => hidden(gray));
  const edges = constant(() => hidden(edgesOf(gray)));
  const weights = constant(() =>
    takeRows(patchWeights(config, mask).expandDims(2), mask.masked).squeeze([2]),
  ); // [B, M]
  const latent = encodeVisible(params, config, patches, mask);
  const predicted = predict(params, config, decodeTokens(params, config, latent, mask, "masked"));
  const mean = (error: tf.Tensor, weighted: boolean) =>
    tf.mean(weighted ? tf.mul(error, weights) : error) as tf.Scalar;
  const image = mean(tokenMse(predicted.image, pixels), config.weightImage);
  const edge = mean(tokenMse(predicted.edge, edges), true);
  const total = tf.add(tf.mul(image, config.imageWeight), tf.mul(edge, config.edgeWeight)) as tf.Scalar;
  return { total, image, edge };
}

/** Pixels and edges of patches, between 0 and 1: [B, K, decoder D] -> [B, K, P] each */
function predict(
  { rec_norm, rec_pred, edge_norm, edge_pred }: EdgeMaeParams,
  config: EdgeMaeConfig,
  tokens: tf.Tensor,
): { image: tf.Tensor3D; edge: tf.Tensor3D } {
  const head = (decoder_norm: LayerNormParams, decoder_pred: LinearParams) =>
    tf.sigmoid(predictPatches({ decoder_norm, decoder_pred }, config, tokens));
  return { image: head(rec_norm, rec_pred), edge: head(edge_norm, edge_pred) };
}

/** Pixels and edges at every place: [B, 1 + K, D] -> [B, N, P] each */
export function predictAll(params: EdgeMaeParams, config: EdgeMaeConfig, latent: tf.Tensor, mask: Mask) {
  return predict(params, config, decodeTokens(params, config, latent, mask, "all"));
}

/** From the units that the encoder sees to those of the pictures: 0 black, 1 white. */
function grayValues(config: EdgeMaeConfig, images: tf.Tensor4D): tf.Tensor4D {
  const { mean, std } = channelStatistics(config);
  return tf.add(tf.mul(images, tf.tensor1d(std)), tf.tensor1d(mean));
}

/** The size of Sobel's gradient of each channel, at most 1; borders are repeated. [B, H, W, C] -> [B, H, W, C] */
export function edgesOf(images: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = images.shape;
  const border: [number, number] = [1, 1];
  const padded = tf.mirrorPad(images, [[0, 0], border, border, [0, 0]], "symmetric");
  const at = (y: number, x: number) => padded.slice([0, y, x, 0], [-1, height, width, -1]);
  const smooth = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) => tf.addN([a, tf.mul(b, 2), c]);
  const down = tf.sub(smooth(at(2, 0), at(2, 1), at(2, 2)), smooth(at(0, 0), at(0, 1), at(0, 2)));
  const right = tf.sub(smooth(at(0, 2), at(1, 2), at(2, 2)), smooth(at(0, 0), at(1, 0), at(2, 0)));
  return tf.minimum(tf.sqrt(tf.add(tf.square(down), tf.square(right))), 1);
}

/** 1 + the share of hidden patches in the 3 x 3 around each, what is outside counting as visible; or 2 - that. [B, N] */
export function patchWeights(config: EdgeMaeConfig, mask: Mask): tf.Tensor2D {
  const [rows, columns] = imageGrid(config);
  const hidden = maskedFlags(mask);
  const weights = new Float32Array(hidden.length);
  for (let b = 0; b < mask.batch; b++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        let around = 0;
        for (let v = Math.max(0, y - 1); v <= Math.min(rows - 1, y + 1); v++)
          for (let u = Math.max(0, x - 1); u <= Math.min(columns - 1, x + 1); u++)
            around += hidden[(b * rows + v) * columns + u]!;
        weights[(b * rows + y) * columns + x] = config.weighting === "deep" ? 1 + around / 9 : 2 - around / 9;
      }
  return tf.tensor2d(weights, [mask.batch, mask.tokens]);
}

function encode(
  params: EdgeMaeParams,
  config: EdgeMaeConfig,
  samples: readonly ImageSample[],
  { pool = "cls" }: EncodeOptions = {},
) {
  const patches = patchify(imageTensor(config, samples), config.patchSize);
  return poolTokens(encodeTokens(params, config, embedPatches(params, patches)), pool);
}

function reconstruct(
  params: EdgeMaeParams,
  config: EdgeMaeConfig,
  { images, mask }: EdgeMaeBatch,
  options?: ReconstructOptions,
): ImageReconstruction {
  const pixels = grayValues(config, images);
  const latent = encodeVisible(params, config, patchify(images, config.patchSize), mask);
  return reconstruction(
    { ...config, mean: [0], std: [1] },
    {
      patches: patchify(pixels, config.patchSize),
      prediction: predictAll(params, config, latent, mask).image,
      mask,
      normalised: false,
    },
    options,
  );
}

export const edgeMae = {
  id: "edge-mae",
  modality: "image",
  summary:
    "Masked autoencoder that predicts pixels and edges; patches deep inside holes weigh more. Made for MR slices",
  paper:
    "Li et al., Multi-Scale Transformer Network with Edge-Aware Pre-Training for Cross-Modality MR Image Synthesis, IEEE TMI 2023, arXiv 2212.01108",
  schema,
  presets,
  init,
  prepare: maskImages,
  loss,
  encode,
  reconstruct,
} satisfies Method<EdgeMaeConfig, ImageSample, EdgeMaeBatch, EdgeMaeParams, ImageReconstruction>;
