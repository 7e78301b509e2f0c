/**
 * Supervised ResNets (He et al., CVPR 2016, https://arxiv.org/abs/1512.03385) and ConvNeXts (Liu et al., CVPR 2022,
 * https://arxiv.org/abs/2201.03545): for fine-tuning what SparK or a contrastive method pretrained, and for timm's weights.
 *
 *   loss = mean_b -sum_c target_bc log softmax(logits_b)_c
 *
 * The head reads the mean over the last map's places; that of a ConvNeXt normalises it first. Batch norms take the batch's
 * statistics in training and the running ones otherwise. Parameter names and shapes are timm's.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  type Classifier,
  crossEntropy,
  drawMix,
  type EncodeOptions,
  initLayerNorm,
  initLinear,
  type LayerNormParams,
  type LinearParams,
  mixBatch,
  type Random,
  type RegularisationConfig,
  regularisationShape,
  softTargets,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import {
  type ConvEncoderConfig,
  type ConvEncoderParams,
  convEncoderDepth,
  convEncoderMaps,
  convEncoderShape,
  convEncoderSizes,
  convEncoderWidths,
  initConvEncoder,
} from "../nn/conv-encoder.js";
import { drawBlockDrops } from "../nn/drop-path.js";
import { globalMean, type MapOptions, poolMap } from "../nn/feature-map.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";

export interface ConvNetConfig extends ImageInput, ConvEncoderConfig, RegularisationConfig {
  readonly classes: number;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...convEncoderShape,
  classes: count.default(1000).describe("number of classes"),
  ...regularisationShape,
}) satisfies z.ZodType<ConvNetConfig>;

const presets = {
  tiny: { network: "resnet", bottleneck: false, blocks: [2, 2, 2, 2], width: 32, stem: "small" },
  ...convEncoderSizes,
} satisfies Record<string, Partial<ConvNetConfig>>;

export type ConvNetParams = ConvEncoderParams & {
  /** Of a ResNet. */
  readonly fc?: LinearParams;
  /** Of a ConvNeXt. */
  readonly head?: { readonly norm: LayerNormParams; readonly fc: LinearParams };
};

export interface ConvNetBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** [B, classes]: rows that sum to 1. */
  readonly targets: tf.Tensor2D;
  /** [residual blocks, B] */
  readonly dropPath?: Float32Array;
}

function init(config: ConvNetConfig, random: Random): ConvNetParams {
  const encoder = initConvEncoder(random, config);
  const width = convEncoderWidths(config).at(-1)!;
  const fc = initLinear(random, width, config.classes, { init: truncatedNormal(0.02) });
  return config.network === "resnet"
    ? { ...encoder, fc }
    : { ...encoder, head: { norm: initLayerNorm(width), fc } };
}

function prepare(config: ConvNetConfig, samples: readonly ImageSample[], random: Random): ConvNetBatch {
  const { classes, smoothing, imageSize, dropPath } = config;
  const labels = samples.map(({ label = -1 }) => label);
  const targets = tf.tensor2d(softTargets(labels, classes, smoothing), [samples.length, classes]);
  const drops = { blocks: convEncoderDepth(config), batch: samples.length, rate: dropPath };
  return {
    ...mixBatch(imageTensor(config, samples), targets, drawMix(config, imageSize, random)),
    dropPath: drawBlockDrops(random, drops),
  };
}

function loss(params: ConvNetParams, config: ConvNetConfig, { images, targets, dropPath }: ConvNetBatch) {
  const map = lastMap(params, config, images, { training: true, dropPath });
  return { total: crossEntropy(applyLinear(headOf(params), features(params, map)) as tf.Tensor2D, targets) };
}

/** [B, h, w, C] */
function lastMap(
  params: ConvNetParams,
  config: ConvNetConfig,
  images: tf.Tensor4D,
  options: MapOptions,
): tf.Tensor4D {
  return convEncoderMaps(params, config, images, options).at(-1)!;
}

/** What the head sees: [B, C] */
function features({ head }: ConvNetParams, map: tf.Tensor4D): tf.Tensor2D {
  const mean = globalMean(map);
  return head === undefined ? mean : applyLayerNorm(head.norm, mean, 1e-6);
}

const headOf = ({ fc, head }: ConvNetParams): LinearParams => (head === undefined ? fc! : head.fc);

function encode(
  params: ConvNetParams,
  config: ConvNetConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const map = lastMap(params, config, imageTensor(config, samples), { training: false });
  return pool === "mean" ? features(params, map) : poolMap("conv-net", map, pool);
}

function logits(params: ConvNetParams, config: ConvNetConfig, samples: readonly ImageSample[]): tf.Tensor2D {
  const map = lastMap(params, config, imageTensor(config, samples), { training: false });
  return applyLinear(headOf(params), features(params, map)) as tf.Tensor2D;
}

export const convNet = {
  id: "conv-net",
  modality: "image",
  summary: "Supervised ResNet or ConvNeXt: fine-tunes a pretrained one, holds timm weights",
  paper:
    "He et al., Deep Residual Learning, CVPR 2016, arXiv 1512.03385; Liu et al., A ConvNet for the 2020s, CVPR 2022, arXiv 2201.03545",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<ConvNetConfig, ImageSample, ConvNetBatch, ConvNetParams>;
