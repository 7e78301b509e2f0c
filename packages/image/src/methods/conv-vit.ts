/**
 * The classifier of ConvMAE's fine-tuning: Masked Convolution Meets Masked Autoencoders. Gao, Ma, Li, Lin, Dai, Qiao,
 * NeurIPS 2022, https://arxiv.org/abs/2205.03892
 *
 *   loss = mean_b -sum_c target_bc log softmax(logits_b)_c
 *
 * ConvMAE's encoder on whole images, without what pretraining adds of the first two stages: the head reads the mean of the
 * transformer's tokens through a norm of its own (`fc_norm`). The position table is learned.
 *
 * Departure: branches are dropped in the transformer's blocks only.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  type Classifier,
  crossEntropy,
  type DropPath,
  drawDropPath,
  drawMix,
  type EncodeOptions,
  initLayerNorm,
  initLinear,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  mixBatch,
  parameter,
  type Random,
  type RegularisationConfig,
  regularisationShape,
  softTargets,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import {
  applyConvStages,
  type ConvStagesConfig,
  type ConvStagesParams,
  convStagesShape,
  initConvStages,
} from "../nn/conv-stages.js";
import { poolPlaces } from "../pool.js";
import type { ImageSample } from "../sample.js";
import { count, type EncoderConfig, encoderShape, hiddenWidth } from "../transformer-config.js";
import { convMaeSizes } from "./conv-mae.js";

export interface ConvVitConfig extends ImageInput, EncoderConfig, ConvStagesConfig, RegularisationConfig {
  readonly classes: number;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  depth: count.default(11).describe("transformer blocks of the third stage"),
  ...convStagesShape,
  classes: count.default(1000).describe("number of classes"),
  ...regularisationShape,
}) satisfies z.ZodType<ConvVitConfig>;

export interface ConvVitParams extends ConvStagesParams {
  readonly blocks3: readonly BlockParams[];
  readonly fc_norm: LayerNormParams;
  readonly head: LinearParams;
}

export interface ConvVitBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** [B, classes]: rows that sum to 1. */
  readonly targets: tf.Tensor2D;
  readonly dropPath?: DropPath;
}

function init(config: ConvVitConfig, random: Random): ConvVitParams {
  const { width, depth, mlpRatio, qkvBias, classes } = config;
  const { pos_embed, ...stages } = initConvStages(config, random);
  return {
    ...stages,
    pos_embed: parameter(pos_embed),
    blocks3: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, mlpRatio),
      qkvBias: qkvBias ? "all" : "none",
    }),
    fc_norm: initLayerNorm(width),
    head: initLinear(random, width, classes, { init: truncatedNormal(2e-5) }),
  };
}

function prepare(config: ConvVitConfig, samples: readonly ImageSample[], random: Random): ConvVitBatch {
  const { classes, depth, dropPath, smoothing, imageSize } = config;
  const labels = samples.map(({ label = -1 }) => label);
  const targets = tf.tensor2d(softTargets(labels, classes, smoothing), [samples.length, classes]);
  return {
    ...mixBatch(imageTensor(config, samples), targets, drawMix(config, imageSize, random)),
    dropPath: drawDropPath(random, depth, samples.length, dropPath),
  };
}

function loss(params: ConvVitParams, config: ConvVitConfig, { images, targets, dropPath }: ConvVitBatch) {
  const read = features(params, config, tokensOf(params, config, images, dropPath));
  return { total: crossEntropy(applyLinear(params.head, read) as tf.Tensor2D, targets) };
}

/** After the transformer's last block: [B, H, W, C] -> [B, N, D] */
function tokensOf(
  params: ConvVitParams,
  config: ConvVitConfig,
  images: tf.Tensor4D,
  dropPath?: DropPath,
): tf.Tensor3D {
  const { heads, epsilon, activation } = config;
  const { tokens } = applyConvStages(params, config, images);
  return applyTransformer(params.blocks3, tokens, { heads, epsilon, activation, dropPath }) as tf.Tensor3D;
}

/** What the head sees: [B, N, D] -> [B, D] */
const features = ({ fc_norm }: ConvVitParams, { epsilon }: ConvVitConfig, tokens: tf.Tensor3D) =>
  applyLayerNorm(fc_norm, tf.mean(tokens, 1), epsilon) as tf.Tensor2D;

function encode(
  params: ConvVitParams,
  config: ConvVitConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const tokens = tokensOf(params, config, imageTensor(config, samples));
  return pool === "mean" ? features(params, config, tokens) : poolPlaces("conv-vit", tokens, pool);
}

function logits(params: ConvVitParams, config: ConvVitConfig, samples: readonly ImageSample[]): tf.Tensor2D {
  const tokens = tokensOf(params, config, imageTensor(config, samples));
  return applyLinear(params.head, features(params, config, tokens)) as tf.Tensor2D;
}

export const convVit = {
  id: "conv-vit",
  modality: "image",
  summary: "Supervised encoder of ConvMAE: fine-tunes a pretrained one",
  paper: "Gao et al., Masked Convolution Meets Masked Autoencoders, NeurIPS 2022, arXiv 2205.03892",
  schema,
  presets: convMaeSizes,
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<ConvVitConfig, ImageSample, ConvVitBatch, ConvVitParams>;
