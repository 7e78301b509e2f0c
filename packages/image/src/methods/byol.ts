/**
 * BYOL: Bootstrap Your Own Latent. Grill, Strub, Altché, Tallec, Richemond, Buchatskaya, Doersch, Avila Pires, Guo,
 * Gheshlaghi Azar, Piot, Kavukcuoglu, Munos, Valko, NeurIPS 2020, https://arxiv.org/abs/2006.07733
 *
 *   loss = mean_i 2 - 2 cos(q(g(f(v_i))), g'(f'(w_i))) + 2 - 2 cos(q(g(f(w_i))), g'(f'(v_i)))
 *
 * v, w: two views of a picture. The target network f', g' is a moving average of the online one, whose momentum rises from
 * its first value to 1 along a cosine; a predictor q stands on the online side only. There are no negatives.
 *
 * Both views have the reference's recipes: the first is always blurred and never solarised, the second seldom blurred and
 * solarised one time in five. Departures: a vision transformer may stand for the ResNet; `blur` is the probability of
 * the first view's blur, a tenth of it the second's.
 */
import * as tf from "@tensorflow/tfjs";
import { cosine, frozenCopy, type Random, type UpdateProgress, updateEma } from "@unmask/core";
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
import { initProjection, type ProjectionParams, trainProjection } from "../nn/projection.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";
import { type ImageMethod, severalViews, viewTensor } from "../views.js";

export interface ByolConfig extends BackboneConfig, RecipeConfig {
  readonly hiddenWidth: number;
  readonly projectionWidth: number;
  readonly solarise: number;
  readonly momentum: number;
}

const schema = z.strictObject({
  ...backboneShape,
  ...recipeShape({ cropScale: [0.08, 1], blur: 1 }),
  solarise: z.number().min(0).max(1).default(0.2).describe("probability of a second view that is solarised"),
  hiddenWidth: count.default(4096).describe("hidden width of projector and predictor"),
  projectionWidth: count.default(256).describe("width of what the loss compares"),
  momentum: z.number().min(0).max(1).default(0.996).describe("of the target network at first; 1 at the end"),
}) satisfies z.ZodType<ByolConfig>;

const presets = {
  ...backboneSizes,
  tiny: { ...backboneSizes.tiny, hiddenWidth: 512, projectionWidth: 128, momentum: 0.99 },
} satisfies Record<string, Partial<ByolConfig>>;

const COLOURS = { brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 };

/** Encoder and projector. */
type ByolBranch = BackboneParams & { readonly projector: ProjectionParams };

export type ByolParams = ByolBranch & {
  readonly predictor: ProjectionParams;
  /** The target network, not trained. */
  readonly target: ByolBranch;
};

export interface ByolBatch {
  /** Two views of every picture, [B, H, W, C] each, normalised. */
  readonly first: tf.Tensor4D;
  readonly second: tf.Tensor4D;
}

function init(config: ByolConfig, random: Random): ByolParams {
  const { hiddenWidth, projectionWidth } = config;
  const branch = {
    ...initBackbone(config, random),
    projector: initProjection(random, backboneWidth(config), hiddenWidth, projectionWidth),
  };
  const predictor = initProjection(random, projectionWidth, hiddenWidth, projectionWidth);
  return { ...branch, predictor, target: frozenCopy(branch) };
}

function trainingView({ imageSize, solarise, ...config }: ByolConfig) {
  const recipe = { ...config, colours: COLOURS };
  return severalViews(
    recipeView(imageSize, recipe),
    recipeView(imageSize, { ...recipe, blur: config.blur / 10, solarise }),
  );
}

function prepare(config: ByolConfig, samples: readonly ImageSample[]): ByolBatch {
  return {
    first: viewTensor(config, samples, "byol", [0, 1]),
    second: viewTensor(config, samples, "byol", [1, 2]),
  };
}

function loss(params: ByolParams, config: ByolConfig, { first, second }: ByolBatch) {
  const project = (branch: ByolBranch, images: tf.Tensor4D) =>
    trainProjection(branch.projector, trainBackbone(branch, config, images)); // [B, projectionWidth]
  const predict = (images: tf.Tensor4D) => trainProjection(params.predictor, project(params, images));
  const forwards = cosine(predict(first), project(params.target, second)); // mean of 1 - cos
  const backwards = cosine(predict(second), project(params.target, first));
  return { total: tf.mul(tf.add(forwards, backwards), 2) as tf.Scalar };
}

function afterUpdate(params: ByolParams, { momentum }: ByolConfig, { step, steps }: UpdateProgress): void {
  const decay = 1 - ((1 - momentum) * (Math.cos((Math.PI * step) / steps) + 1)) / 2;
  updateEma(params.target, params, decay, { buffers: "leave" });
}

export const byol = {
  id: "byol",
  modality: "image",
  summary:
    "Bootstrap: one view predicts what a moving average of the encoder makes of another, without negatives",
  paper:
    "Grill et al., Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, NeurIPS 2020, arXiv 2006.07733",
  schema,
  presets,
  trainingView,
  init,
  prepare,
  loss,
  afterUpdate,
  encode: encodeBackbone,
} satisfies ImageMethod<ByolConfig, ByolBatch, ByolParams>;
