/**
 * SupCon: Supervised Contrastive Learning. Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan, NeurIPS
 * 2020, https://arxiv.org/abs/2004.11362
 *
 *   loss = 1/2B sum_i -1/|P(i)| sum_{p in P(i)} log( exp(z_i . z_p / t) / sum_{k != i} exp(z_i . z_k / t) )
 *
 * SimCLR's views, encoder and head; P(i) are all other views whose picture has the class of view i's. Classes are the
 * sub-folders of the data, or labels beside it. A picture without a label is a class of its own, so that with no second
 * picture of any class the loss is SimCLR's.
 *
 * Departures: those of SimCLR; the colour jitter is that of the reference code (0.4, 0.4, 0.4, 0.1) and, as there, no
 * view is blurred by default.
 */
import * as tf from "@tensorflow/tfjs";
import { expect, type MlpParams, type Random, supervisedContrastive } from "@unmask/core";
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

export interface SupConConfig extends BackboneConfig, RecipeConfig {
  readonly projectionWidth: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  ...backboneShape,
  ...recipeShape({ cropScale: [0.2, 1], blur: 0 }),
  projectionWidth: count.default(128).describe("width of what the loss compares"),
  temperature: z.number().positive().default(0.1).describe("divides the cosines"),
}) satisfies z.ZodType<SupConConfig>;

const COLOURS = { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 };

export type SupConParams = BackboneParams & { readonly projector: MlpParams };

export interface SupConBatch {
  /** [2B, H, W, C], normalised: all first views, then all second ones. */
  readonly views: tf.Tensor4D;
  /** Class of each picture; those without a label have numbers of their own. */
  readonly labels: Int32Array;
}

function init(config: SupConConfig, random: Random): SupConParams {
  return {
    ...initBackbone(config, random),
    projector: initHead(random, backboneWidth(config), config.projectionWidth),
  };
}

function trainingView({ imageSize, ...config }: SupConConfig) {
  const view = recipeView(imageSize, { ...config, colours: COLOURS });
  return severalViews(view, view);
}

function prepare(config: SupConConfig, samples: readonly ImageSample[]): SupConBatch {
  const labels = samples.map(({ label = -1 }) => label);
  expect(
    labels.some((label) => label >= 0),
    "sup-con: learns from classes and no picture of the batch has one; put each class in a sub-folder, or use simclr",
  );
  return {
    views: viewTensor(config, samples, "sup-con"),
    labels: Int32Array.from(labels, (label, i) => (label >= 0 ? label : -1 - i)),
  };
}

function loss(params: SupConParams, config: SupConConfig, { views, labels }: SupConBatch) {
  const projected = applyHead(params.projector, trainBackbone(params, config, views)); // [2B, projectionWidth]
  const features = tf.stack(tf.split(projected, 2), 1); // [B, 2, projectionWidth]
  return { total: supervisedContrastive(features, { labels, temperature: config.temperature }) };
}

export const supCon = {
  id: "sup-con",
  modality: "image",
  summary: "Supervised contrast: views of pictures of one class are told from all others of the batch",
  paper: "Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, arXiv 2004.11362",
  schema,
  presets: backboneSizes,
  trainingView,
  init,
  prepare,
  loss,
  encode: encodeBackbone,
} satisfies ImageMethod<SupConConfig, SupConBatch, SupConParams>;
