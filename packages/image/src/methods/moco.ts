/**
 * MoCo v2: Improved Baselines with Momentum Contrastive Learning. Chen, Fan, Girshick, He, 2020,
 * https://arxiv.org/abs/2003.04297; after Momentum Contrast, CVPR 2020, https://arxiv.org/abs/1911.05722
 *
 *   loss = mean_i -log( exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_n exp(q_i . n / t)) ),   |q| = |k| = |n| = 1
 *
 * q: one view through encoder and head; k: another view of the same picture through their moving average; n: the keys of
 * earlier batches, kept in a queue. theta_k <- m theta_k + (1 - m) theta_q before each forward pass, which is after each
 * update.
 *
 * Departures: keys are not shuffled between devices before their batch norms, there being one device; with a ResNet the
 * statistics of a batch may give a key away, with a transformer there are none. The newest keys are the last rows of the
 * queue, which has no pointer and need not be a multiple of the batch.
 */
import * as tf from "@tensorflow/tfjs";
import {
  buffer,
  crossEntropy,
  frozenCopy,
  l2Normalise,
  type MlpParams,
  pendingBuffer,
  type Random,
  updateBuffer,
  updateEma,
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
import { applyHead, initHead } from "../nn/projection.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";
import { type ImageMethod, severalViews, viewTensor } from "../views.js";

export interface MocoConfig extends BackboneConfig, RecipeConfig {
  readonly projectionWidth: number;
  readonly temperature: number;
  readonly queueLength: number;
  readonly momentum: number;
}

const schema = z.strictObject({
  ...backboneShape,
  ...recipeShape({ cropScale: [0.2, 1] }),
  projectionWidth: count.default(128).describe("width of what the loss compares"),
  temperature: z.number().positive().default(0.2).describe("divides the cosines"),
  queueLength: count.default(65536).describe("keys of earlier batches that serve as negatives"),
  momentum: z.number().min(0).max(1).default(0.999).describe("of the moving average that makes the keys"),
}) satisfies z.ZodType<MocoConfig>;

/** Small data see few batches, so that a shorter queue and a faster average serve them. */
const presets = {
  ...backboneSizes,
  tiny: { ...backboneSizes.tiny, queueLength: 2048, momentum: 0.99 },
} satisfies Record<string, Partial<MocoConfig>>;

const COLOURS = { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 };

/** Encoder and head. */
type MocoBranch = BackboneParams & { readonly projector: MlpParams };

export type MocoParams = MocoBranch & {
  /** The moving average, not trained. */
  readonly momentum: MocoBranch;
  /** [queueLength, projectionWidth], rows of length 1, oldest first. */
  readonly queue: tf.Variable;
};

export interface MocoBatch {
  /** [B, H, W, C], normalised. */
  readonly queries: tf.Tensor4D;
  readonly keys: tf.Tensor4D;
}

function init(config: MocoConfig, random: Random): MocoParams {
  const { projectionWidth, queueLength } = config;
  const branch = {
    ...initBackbone(config, random),
    projector: initHead(random, backboneWidth(config), projectionWidth),
  };
  const rows = tf.tensor2d(random.normals(queueLength * projectionWidth), [queueLength, projectionWidth]);
  return { ...branch, momentum: frozenCopy(branch), queue: buffer(l2Normalise(rows)) };
}

function trainingView({ imageSize, ...config }: MocoConfig) {
  const view = recipeView(imageSize, { ...config, colours: COLOURS });
  return severalViews(view, view);
}

function prepare(config: MocoConfig, samples: readonly ImageSample[]): MocoBatch {
  return {
    queries: viewTensor(config, samples, "moco", [0, 1]),
    keys: viewTensor(config, samples, "moco", [1, 2]),
  };
}

function loss(params: MocoParams, config: MocoConfig, batch: MocoBatch) {
  const embed = (branch: MocoBranch, images: tf.Tensor4D) =>
    l2Normalise(applyHead(branch.projector, trainBackbone(branch, config, images))) as tf.Tensor2D;
  const queries = embed(params, batch.queries); // [B, projectionWidth]
  const keys = embed(params.momentum, batch.keys);
  const positive = tf.sum(tf.mul(queries, keys), 1, true); // [B, 1]
  const negative = tf.matMul(queries, params.queue as tf.Tensor2D, false, true); // [B, queueLength]
  const logits = tf.div(tf.concat([positive, negative], 1), config.temperature);
  updateBuffer(params.queue, () => enqueue(pendingBuffer(params.queue), keys));
  return { total: crossEntropy(logits, new Int32Array(keys.shape[0])) };
}

/** The queue with the keys at its end and as many of the oldest gone. */
function enqueue(queue: tf.Tensor, keys: tf.Tensor): tf.Tensor {
  const [length, width] = queue.shape as [number, number];
  return tf.concat([queue, keys], 0).slice([keys.shape[0]!, 0], [length, width]);
}

function afterUpdate(params: MocoParams, { momentum }: MocoConfig): void {
  updateEma(params.momentum, params, momentum, { buffers: "leave" });
}

export const moco = {
  id: "moco",
  modality: "image",
  summary:
    "MoCo v2: a view is told from a queue of earlier pictures, encoded by a moving average of the encoder",
  paper: "Chen et al., Improved Baselines with Momentum Contrastive Learning, arXiv 2003.04297",
  schema,
  presets,
  trainingView,
  init,
  prepare,
  loss,
  afterUpdate,
  encode: encodeBackbone,
} satisfies ImageMethod<MocoConfig, MocoBatch, MocoParams>;
