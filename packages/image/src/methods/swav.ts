/**
 * SwAV: Unsupervised Learning of Visual Features by Contrasting Cluster Assignments. Caron, Misra, Mairal, Goyal,
 * Bojanowski, Joulin, NeurIPS 2020, https://arxiv.org/abs/2006.09882
 *
 *   loss = 1/2 sum_{s in large views} 1/(V - 1) sum_{v != s} mean_i -sum_k code_ik(s) log softmax(z_i(v) . c_k / t)_k
 *
 * z: projected view, |z| = 1; c_k: prototypes, |c_k| = 1; code(s): the scores of large view s made into an assignment
 * that uses all prototypes alike, by Sinkhorn and Knopp's normalisation of exp(scores / epsilon), through which no gradient
 * goes. Views: two large ones and `smallCrops` small ones, which are assigned nothing but predict the codes of the large.
 *
 * Departures: prototypes are brought to length 1 after each update, which is before the next forward pass; no queue of
 * earlier features and no steps with frozen prototypes at the beginning; a vision transformer may stand for the ResNet,
 * with its positions interpolated for small views. The Sinkhorn iterations begin from scores less their largest, for exp's
 * sake.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  initLinear,
  type LinearParams,
  l2Normalise,
  type Random,
  sizeSchema,
  stopGradient,
  tokenCrossEntropy,
} from "@unmask/core";
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

export interface SwavConfig extends BackboneConfig, RecipeConfig {
  readonly smallCrops: number;
  readonly smallSize?: readonly [number, number];
  readonly smallCropScale: readonly [number, number];
  readonly hiddenWidth: number;
  readonly projectionWidth: number;
  readonly prototypes: number;
  readonly temperature: number;
  readonly sinkhornEpsilon: number;
  readonly sinkhornIterations: number;
}

const share = z.number().gt(0).max(1);

const schema = z.strictObject({
  ...backboneShape,
  ...recipeShape({ cropScale: [0.14, 1] }),
  smallCrops: z.int().nonnegative().default(6).describe("small views beside the two large ones"),
  smallSize: sizeSchema(
    "height and width of small views; 3/7 of the large ones', to whole patches, when not given",
  ).optional(),
  smallCropScale: z
    .tuple([share, share])
    .readonly()
    .default([0.05, 0.14])
    .describe("least and greatest share of the picture's area that a small view shows"),
  hiddenWidth: count.default(2048).describe("hidden width of the projector"),
  projectionWidth: count.default(128).describe("width of what is compared with the prototypes"),
  prototypes: count.default(3000).describe("clusters; several times the number of classes to expect"),
  temperature: z.number().positive().default(0.1).describe("divides the scores that predict codes"),
  sinkhornEpsilon: z
    .number()
    .positive()
    .default(0.05)
    .describe("divides the scores that become codes; smaller is sharper"),
  sinkhornIterations: count.default(3).describe("normalisations of rows and columns"),
}) satisfies z.ZodType<SwavConfig>;

const presets = {
  ...backboneSizes,
  tiny: { ...backboneSizes.tiny, smallCrops: 2, hiddenWidth: 512, prototypes: 100 },
} satisfies Record<string, Partial<SwavConfig>>;

const COLOURS = { brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2 };

const LARGE = 2;

export type SwavParams = BackboneParams & {
  readonly projector: ProjectionParams;
  /** [prototypes, projectionWidth], rows of length 1, no bias. */
  readonly prototypes: LinearParams;
};

export interface SwavBatch {
  readonly samples: number;
  /** [2B, H, W, C], normalised: all first views, then all second ones. */
  readonly large: tf.Tensor4D;
  /** [smallCrops * B, h, w, C], in the same order. */
  readonly small?: tf.Tensor4D;
}

function init(config: SwavConfig, random: Random): SwavParams {
  const { hiddenWidth, projectionWidth, prototypes } = config;
  const params = {
    ...initBackbone(config, random),
    projector: initProjection(random, backboneWidth(config), hiddenWidth, projectionWidth),
    prototypes: initLinear(random, projectionWidth, prototypes, { bias: false }),
  };
  normalisePrototypes(params);
  return params;
}

function trainingView({ imageSize, smallCrops, smallCropScale, ...config }: SwavConfig) {
  const recipe = { ...config, colours: COLOURS };
  const large = recipeView(imageSize, recipe);
  const small = recipeView(smallViewSize({ imageSize, ...config }), { ...recipe, cropScale: smallCropScale });
  return severalViews(large, large, ...Array.from({ length: smallCrops }, () => small));
}

/** The size given, or 96 / 224 of the large views' to the nearest whole patch. */
function smallViewSize({
  imageSize,
  patchSize,
  backbone,
  smallSize,
}: Pick<SwavConfig, "imageSize" | "patchSize" | "backbone" | "smallSize">): readonly [number, number] {
  const step = backbone === "vit" ? patchSize : [1, 1];
  const side = (axis: 0 | 1) =>
    step[axis]! * Math.max(1, Math.round((imageSize[axis] * 96) / 224 / step[axis]!));
  return smallSize ?? [side(0), side(1)];
}

function prepare(config: SwavConfig, samples: readonly ImageSample[]): SwavBatch {
  const views = LARGE + config.smallCrops;
  const large = viewTensor(config, samples, "swav", [0, LARGE]);
  if (views === LARGE) return { samples: samples.length, large };
  const smallInput = { ...config, imageSize: smallViewSize(config) };
  return { samples: samples.length, large, small: viewTensor(smallInput, samples, "swav", [LARGE, views]) };
}

function loss(params: SwavParams, config: SwavConfig, batch: SwavBatch) {
  const scores = swavScores(params, config, batch);
  const codes = scores.slice(0, LARGE).map((assigned) => sinkhornCodes(stopGradient(assigned), config));
  return { total: swapLoss(scores, codes, config.temperature) };
}

/** Cosines of projected views and prototypes, [B, prototypes] for each view, large ones first. */
function swavScores(
  params: SwavParams,
  config: SwavConfig,
  { samples, large, small }: SwavBatch,
): tf.Tensor[] {
  const features = [large, ...(small ? [small] : [])].map((images) => trainBackbone(params, config, images));
  const projected = l2Normalise(trainProjection(params.projector, tf.concat(features, 0)));
  const scores = applyLinear(params.prototypes, projected); // [V * B, prototypes]
  return tf.split(scores, scores.shape[0]! / samples);
}

/** Every view predicts the codes of every other large view. */
function swapLoss(scores: readonly tf.Tensor[], codes: readonly tf.Tensor[], temperature: number): tf.Scalar {
  const terms = codes.flatMap((code, s) =>
    scores.flatMap((predicting, v) =>
      v === s ? [] : [tf.mean(tokenCrossEntropy(tf.div(predicting, temperature), code))],
    ),
  );
  return tf.mean(tf.stack(terms)) as tf.Scalar;
}

/**
 * Soft assignments that use all prototypes alike: exp(scores / epsilon) with columns (prototypes) and rows (samples)
 * normalised in turn. Source: Cuturi, Sinkhorn Distances, NeurIPS 2013.
 * @param scores [B, prototypes]
 * @returns [B, prototypes], rows that sum to 1
 */
function sinkhornCodes(
  scores: tf.Tensor,
  { sinkhornEpsilon, sinkhornIterations }: Pick<SwavConfig, "sinkhornEpsilon" | "sinkhornIterations">,
): tf.Tensor {
  let codes: tf.Tensor = tf.exp(tf.div(tf.sub(scores, tf.max(scores)), sinkhornEpsilon));
  for (let i = 0; i < sinkhornIterations; i++) {
    codes = tf.div(codes, tf.maximum(tf.sum(codes, 0, true), 1e-30)); // a prototype no sample is near stays unused
    codes = tf.div(codes, tf.sum(codes, 1, true));
  }
  return codes;
}

function normalisePrototypes({ prototypes: { weight } }: SwavParams): void {
  tf.tidy(() => weight.assign(l2Normalise(weight)));
}

export const swav = {
  id: "swav",
  modality: "image",
  summary: "Swapped prediction: one view predicts the cluster of another, clusters being used alike",
  paper:
    "Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020, arXiv 2006.09882",
  schema,
  presets,
  trainingView,
  init,
  prepare,
  loss,
  afterUpdate: normalisePrototypes,
  encode: encodeBackbone,
} satisfies ImageMethod<SwavConfig, SwavBatch, SwavParams>;
