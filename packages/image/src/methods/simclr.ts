/**
 * SimCLR: A Simple Framework for Contrastive Learning of Visual Representations. Chen, Kornblith, Norouzi, Hinton, ICML
 * 2020, https://arxiv.org/abs/2002.05709
 *
 *   loss = 1/2B sum_i -log( exp(z_i . z_p(i) / t) / sum_{k != i} exp(z_i . z_k / t) ),   z = g(f(view)), |z| = 1
 *
 * Two random views of each of B pictures; p(i) is the other view of view i's picture, all other 2B - 2 views are negatives.
 * f is the encoder, g a head of one hidden layer that is thrown away afterwards.
 *
 * Departures: a vision transformer may stand for the ResNet; the blur's kernel is a tenth of the view and its deviation
 * 0.1-2 pixels at any size. Batch norms see both views of all pictures at once, as the reference does.
 */
import * as tf from "@tensorflow/tfjs";
import { type MlpParams, ntXent, type Random } from "@unmask/core";
import { z } from "zod";
import { type RecipeConfig, recipeShape, recipeView } from "../augment/recipe.js";
import {
  type BackboneConfig,
  type BackboneParams,
  backboneShape,
  backboneSizes,
  backboneWidth,
  encodeBackbone,
  initBackbone,
  trainBackbone,
} from "../nn/backbone.js";
import { applyHead, initHead } from "../nn/projection.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";
import { type ImageMethod, severalViews, viewTensor } from "../views.js";

export interface SimclrConfig extends BackboneConfig, RecipeConfig {
  readonly projectionWidth: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  ...backboneShape,
  ...recipeShape({ cropScale: [0.08, 1] }),
  projectionWidth: count.default(128).describe("width of what the loss compares"),
  temperature: z
    .number()
    .positive()
    .default(0.1)
    .describe("divides the cosines; 0.5 for small batches and pictures"),
}) satisfies z.ZodType<SimclrConfig>;

const COLOURS = { brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2 };

export type SimclrParams = BackboneParams & { readonly projector: MlpParams };

export interface SimclrBatch {
  /** [2B, H, W, C], normalised: all first views, then all second ones. */
  readonly views: tf.Tensor4D;
}

function init(config: SimclrConfig, random: Random): SimclrParams {
  return {
    ...initBackbone(config, random),
    projector: initHead(random, backboneWidth(config), config.projectionWidth),
  };
}

function trainingView({ imageSize, ...config }: SimclrConfig) {
  const view = recipeView(imageSize, { ...config, colours: COLOURS });
  return severalViews(view, view);
}

function prepare(config: SimclrConfig, samples: readonly ImageSample[]): SimclrBatch {
  return { views: viewTensor(config, samples, "simclr") };
}

function loss(params: SimclrParams, config: SimclrConfig, { views }: SimclrBatch) {
  const projected = applyHead(params.projector, trainBackbone(params, config, views)); // [2B, projectionWidth]
  const [first, second] = tf.split(projected, 2) as [tf.Tensor2D, tf.Tensor2D];
  return { total: ntXent(first, second, { temperature: config.temperature }) };
}

export const simclr = {
  id: "simclr",
  modality: "image",
  summary: "Contrast: two views of a picture are told from the views of all other pictures of the batch",
  paper:
    "Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, arXiv 2002.05709",
  schema,
  presets: backboneSizes,
  trainingView,
  init,
  prepare,
  loss,
  encode: encodeBackbone,
} satisfies ImageMethod<SimclrConfig, SimclrBatch, SimclrParams>;
