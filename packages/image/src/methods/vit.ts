/**
 * ViT: the supervised vision transformer, for fine-tuning a pretrained encoder and for weights of timm, DeiT and
 * Hugging Face. Dosovitskiy et al., ICLR 2021, https://arxiv.org/abs/2010.11929; the fine-tuning form (mean pooling with
 * a norm of its own after it) is that of MAE, https://arxiv.org/abs/2111.06377.
 *
 *   loss = mean_b -sum_c target_bc log softmax(logits_b)_c
 *
 * `pool: "cls"` reads the class token after the final norm; `pool: "mean"` averages the patch tokens and normalises
 * afterwards (`fc_norm`), leaving out the final norm. The position table is learned.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
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
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  mixBatch,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  prependToken,
  type Random,
  type RegularisationConfig,
  regularisationShape,
  softTargets,
  type TransformerOptions,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import { poolTokens } from "../pool.js";
import type { ImageSample } from "../sample.js";
import { count, type EncoderConfig, encoderShape, encoderSizes, hiddenWidth } from "../transformer-config.js";

export interface VitConfig extends ImageInput, EncoderConfig, RegularisationConfig {
  readonly classes: number;
  readonly pool: "cls" | "mean";
}

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  classes: count.default(1000).describe("number of classes"),
  pool: z.enum(["cls", "mean"]).default("mean").describe("class token, or mean of the patch tokens"),
  ...regularisationShape,
}) satisfies z.ZodType<VitConfig>;

export interface VitParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D] */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  /** With `pool: "cls"`. */
  readonly norm?: LayerNormParams;
  /** With `pool: "mean"`. */
  readonly fc_norm?: LayerNormParams;
  readonly head: LinearParams;
}

export interface VitBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** [B, classes]: rows that sum to 1. */
  readonly targets: tf.Tensor2D;
  readonly dropPath?: DropPath;
}

function init(config: VitConfig, random: Random): VitParams {
  const { patchSize, channels, width, depth, mlpRatio, qkvBias, pool, classes } = config;
  const [rows, columns] = patchGrid(config.imageSize, patchSize) as [number, number];
  const weights = truncatedNormal(0.02);
  return {
    cls_token: parameter(weights([1, 1, width], random)),
    pos_embed: parameter(weights([1, 1 + rows * columns, width], random)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, mlpRatio),
      qkvBias: qkvBias ? "all" : "none",
      init: weights,
    }),
    ...(pool === "cls" ? { norm: initLayerNorm(width) } : { fc_norm: initLayerNorm(width) }),
    head: initLinear(random, width, classes, { init: truncatedNormal(2e-5) }),
  };
}

function prepare(config: VitConfig, samples: readonly ImageSample[], random: Random): VitBatch {
  const { classes, depth, dropPath, smoothing, imageSize } = config;
  const labels = samples.map(({ label = -1 }) => label);
  const targets = tf.tensor2d(softTargets(labels, classes, smoothing), [samples.length, classes]);
  return {
    ...mixBatch(imageTensor(config, samples), targets, drawMix(config, imageSize, random)),
    dropPath: drawDropPath(random, depth, samples.length, dropPath),
  };
}

function loss(params: VitParams, config: VitConfig, { images, targets, dropPath }: VitBatch) {
  const features = vitFeatures(params, config, images, { dropPath });
  return { total: crossEntropy(applyLinear(params.head, features) as tf.Tensor2D, targets) };
}

/** Tokens after the last block, before any norm, class token first: [B, H, W, C] -> [B, 1 + N, D] */
export function vitTokens(
  params: VitParams,
  { patchSize, heads, epsilon, activation }: VitConfig,
  images: tf.Tensor4D,
  options: Pick<TransformerOptions, "dropPath" | "onBlock"> = {},
): tf.Tensor3D {
  const patches = applyPatchEmbed(params.patch_embed, patchify(images, patchSize));
  const tokens = tf.add(prependToken(params.cls_token, patches), params.pos_embed);
  return applyTransformer(params.blocks, tokens, { heads, epsilon, activation, ...options }) as tf.Tensor3D;
}

/** What the head sees: [B, H, W, C] -> [B, D] */
export function vitFeatures(
  params: VitParams,
  config: VitConfig,
  images: tf.Tensor4D,
  options?: Pick<TransformerOptions, "dropPath" | "onBlock">,
): tf.Tensor2D {
  const tokens = vitTokens(params, config, images, options);
  const features =
    config.pool === "cls"
      ? poolTokens(applyLayerNorm(params.norm!, tokens, config.epsilon), "cls")
      : applyLayerNorm(params.fc_norm!, poolTokens(tokens, "mean"), config.epsilon);
  return features as tf.Tensor2D;
}

function encode(
  params: VitParams,
  config: VitConfig,
  samples: readonly ImageSample[],
  { pool }: EncodeOptions = {},
) {
  const images = imageTensor(config, samples);
  if (pool === undefined || pool === config.pool) return vitFeatures(params, config, images);
  return poolTokens(vitTokens(params, config, images), pool);
}

function logits(params: VitParams, config: VitConfig, samples: readonly ImageSample[]): tf.Tensor2D {
  return applyLinear(params.head, vitFeatures(params, config, imageTensor(config, samples))) as tf.Tensor2D;
}

export const vit = {
  id: "vit",
  modality: "image",
  summary:
    "Supervised vision transformer: fine-tunes a pretrained encoder, holds timm, DeiT and Hugging Face weights",
  paper: "Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, arXiv 2010.11929",
  schema,
  presets: encoderSizes,
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<VitConfig, ImageSample, VitBatch, VitParams>;
