/**
 * The supervised vision transformer of clips, for fine-tuning a pretrained encoder: VideoMAE's, Tong et al., NeurIPS 2022,
 * https://arxiv.org/abs/2203.12602
 *
 *   loss = mean_b -sum_c target_bc log softmax(logits_b)_c
 *
 * Features are the mean of all tokens, normalised afterwards (`fc_norm`); with `pool: "first"` the first token after a
 * final norm (`norm`), as the reference does where mean pooling is off. Class probabilities of several views of a video
 * are averaged. Parameter names and shapes are the reference's; positions are fixed tables.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  type Classifier,
  crossEntropy,
  type DropPath,
  drawDropPath,
  drawMix,
  type EncodeOptions,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  mixBatch,
  type PatchEmbedParams,
  patchify,
  type Random,
  type RegularisationConfig,
  regularisationShape,
  sinCosRows,
  softTargets,
  type TransformerOptions,
  truncatedNormal,
  uniform,
} from "@unmask/core";
import { z } from "zod";
import {
  type CubeConfig,
  count,
  cubeGrid,
  cubeOf,
  meanOverViews,
  trainingTensor,
  type VideoInput,
  videoInputShape,
  videoTensor,
  viewsOf,
} from "../batch.js";
import { applyVideoBlocks, initVideoBlocks, type VideoBlockParams } from "../blocks.js";
import { poolTokens } from "../pool.js";
import type { VideoSample } from "../sample.js";
import { type EncoderConfig, encoderShape, encoderSizes, headEpsilonSchema } from "../transformer-config.js";

export interface VideoVitConfig extends VideoInput, CubeConfig, EncoderConfig, RegularisationConfig {
  readonly classes: number;
  readonly pool: "mean" | "first";
  readonly headScale: number;
  readonly headEpsilon?: number;
}

const schema = z.strictObject({
  ...videoInputShape,
  ...encoderShape,
  classes: count.default(400).describe("number of classes"),
  pool: z.enum(["mean", "first"]).default("mean").describe("mean of all tokens, or the first token"),
  headScale: z
    .number()
    .min(0)
    .default(0.001)
    .describe("factor of the classifier's initial weights, which have deviation 0.02"),
  headEpsilon: headEpsilonSchema,
  ...regularisationShape,
  cutmix: regularisationShape.cutmix.describe(
    "alpha of cutmix in training, the same box in all frames; 0 is none, with mixup one of the two",
  ),
}) satisfies z.ZodType<VideoVitConfig>;

export interface VideoVitParams {
  /** Kernel [D, C, frames, height, width]. */
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly VideoBlockParams[];
  /** With `pool: "first"`. */
  readonly norm?: LayerNormParams;
  /** With `pool: "mean"`. */
  readonly fc_norm?: LayerNormParams;
  readonly head: LinearParams;
}

export interface VideoVitBatch {
  /** [B, frames, H, W, C], normalised. */
  readonly clips: tf.Tensor5D;
  /** [B, classes]: rows that sum to 1. */
  readonly targets: tf.Tensor2D;
  readonly dropPath?: DropPath;
}

function init(config: VideoVitConfig, random: Random): VideoVitParams {
  const { channels, width, pool, classes, headScale } = config;
  cubeGrid("video-vit", config);
  const patch = cubeOf(config);
  const fanIn = patch.reduce((a, b) => a * b) * channels;
  const weights = truncatedNormal(0.02, 0.02);
  return {
    patch_embed: initPatchEmbed(random, { patch, channels, width, init: uniform(1 / Math.sqrt(fanIn)) }),
    blocks: initVideoBlocks(random, { ...config, init: weights }),
    ...(pool === "first" ? { norm: initLayerNorm(width) } : { fc_norm: initLayerNorm(width) }),
    head: initLinear(random, width, classes, {
      init: (shape, draws) => tf.mul(weights(shape, draws), headScale),
    }),
  };
}

function prepare(config: VideoVitConfig, samples: readonly VideoSample[], random: Random): VideoVitBatch {
  const { classes, depth, dropPath, smoothing } = config;
  const labels = samples.map(({ label = -1 }) => label);
  const targets = tf.tensor2d(softTargets(labels, classes, smoothing), [samples.length, classes]);
  const clips = trainingTensor(config, samples);
  const [batch, frames, height, width, channels] = clips.shape as [number, number, number, number, number];
  // As images of many channels, so that one box is cut from all frames.
  const stacked = tf.transpose(clips, [0, 2, 3, 1, 4]).reshape([batch, height, width, frames * channels]);
  const mixed = mixBatch(stacked as tf.Tensor4D, targets, drawMix(config, [height, width], random));
  return {
    clips: tf.transpose(
      mixed.images.reshape([batch, height, width, frames, channels]) as tf.Tensor5D,
      [0, 3, 1, 2, 4],
    ),
    targets: mixed.targets,
    dropPath: drawDropPath(random, depth, batch, dropPath),
  };
}

function loss(params: VideoVitParams, config: VideoVitConfig, { clips, targets, dropPath }: VideoVitBatch) {
  const features = videoVitFeatures(params, config, clips, { dropPath });
  return { total: crossEntropy(applyLinear(params.head, features) as tf.Tensor2D, targets) };
}

/** Tokens after the last block, before any norm: [B, frames, H, W, C] -> [B, N, D] */
function videoVitTokens(
  params: VideoVitParams,
  config: VideoVitConfig,
  clips: tf.Tensor5D,
  options: Pick<TransformerOptions, "dropPath" | "onBlock"> = {},
): tf.Tensor3D {
  const { heads, epsilon, activation, width } = config;
  const cubes = applyPatchEmbed(params.patch_embed, patchify(clips, cubeOf(config)));
  const tokens = tf.add(cubes, sinCosRows(cubes.shape[1], width));
  return applyVideoBlocks(params.blocks, tokens, { heads, epsilon, activation, ...options });
}

/** What the head sees: [B, frames, H, W, C] -> [B, D] */
export function videoVitFeatures(
  params: VideoVitParams,
  config: VideoVitConfig,
  clips: tf.Tensor5D,
  options?: Pick<TransformerOptions, "dropPath" | "onBlock">,
): tf.Tensor2D {
  const tokens = videoVitTokens(params, config, clips, options);
  const { pool, epsilon, headEpsilon = epsilon } = config;
  switch (pool) {
    case "mean":
      return applyLayerNorm(params.fc_norm!, tf.mean(tokens, 1) as tf.Tensor2D, headEpsilon);
    case "first":
      return applyLayerNorm(params.norm!, tokens, epsilon)
        .slice([0, 0, 0], [-1, 1, -1])
        .reshape([tokens.shape[0], tokens.shape[2]]);
  }
}

function encode(
  params: VideoVitParams,
  config: VideoVitConfig,
  samples: readonly VideoSample[],
  { pool }: EncodeOptions = {},
) {
  const clips = videoTensor(config, samples);
  const features =
    pool === undefined || pool === config.pool
      ? videoVitFeatures(params, config, clips)
      : poolTokens("video-vit", videoVitTokens(params, config, clips), pool);
  return meanOverViews(features, viewsOf(samples));
}

function logits(
  params: VideoVitParams,
  config: VideoVitConfig,
  samples: readonly VideoSample[],
): tf.Tensor2D {
  const perView = applyLinear(params.head, videoVitFeatures(params, config, videoTensor(config, samples)));
  const views = viewsOf(samples);
  if (views === 1) return perView as tf.Tensor2D;
  return tf.log(meanOverViews(tf.softmax(perView), views)) as tf.Tensor2D;
}

export const videoVit = {
  id: "video-vit",
  modality: "video",
  summary: "Supervised vision transformer of clips: fine-tunes a pretrained encoder",
  paper: "Tong et al., VideoMAE, NeurIPS 2022, arXiv 2203.12602",
  schema,
  presets: encoderSizes,
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<VideoVitConfig, VideoSample, VideoVitBatch, VideoVitParams>;
