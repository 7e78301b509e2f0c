/**
 * The classifier that Point-MAE and Point-CMAE are fine-tuned as: Pang et al., ECCV 2022, https://arxiv.org/abs/2203.06604
 *
 *   loss = mean_b -log softmax(head([class token, max over groups]))_label
 *
 * The head: two hidden layers of 256 with batch norm, ReLU and dropout 0.5. The published recipe: AdamW, lr 5e-4, weight
 * decay 0.05, 300 epochs, 10 of warm-up, batch 32, gradients clipped at 10, drop path 0.1. Parameter names are those of the
 * reference.
 */
import * as tf from "@tensorflow/tfjs";
import {
  type Classifier,
  crossEntropy,
  type DropPath,
  drawDropPath,
  type EncodeOptions,
  expect,
  parameter,
  prependToken,
  type Random,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { count, type GroupedPoints, groupedTensors, type PointInput, pointInputShape } from "../batch.js";
import {
  embedGroups,
  encodeGroups,
  type GroupEncoderConfig,
  type GroupEncoderParams,
  groupEncoderShape,
  initGroupEncoder,
} from "../layers/group-encoder.js";
import { applyHead, drawHeadDropout, type HeadDropout, type HeadParams, initHead } from "../layers/head.js";
import { maxPoints } from "../layers/max-points.js";
import { byBatch, byRunningStatistics, type Normalise } from "../layers/point-conv.js";
import { applyPositions } from "../layers/positioned-transformer.js";
import { poolGroups } from "../pool.js";
import type { PointSample } from "../sample.js";

export interface PointTransformerConfig extends PointInput, GroupEncoderConfig {
  readonly classes: number;
  readonly headWidth: number;
  readonly dropPath: number;
  readonly dropout: number;
  readonly smoothing: number;
}

const rate = z.number().min(0).lt(1);

const schema = z.strictObject({
  ...pointInputShape,
  ...groupEncoderShape,
  classes: count.default(40).describe("number of classes"),
  headWidth: count.default(256).describe("width of the head's hidden layers"),
  dropPath: rate.default(0.1).describe("rate of stochastic depth in the last block"),
  dropout: rate.default(0.5).describe("rate of dropout in the head"),
  smoothing: rate.default(0).describe("share of the target spread over all classes"),
}) satisfies z.ZodType<PointTransformerConfig>;

export interface PointTransformerParams extends GroupEncoderParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1, D] */
  readonly cls_pos: tf.Variable;
  readonly cls_head_finetune: HeadParams;
}

export interface PointTransformerBatch extends GroupedPoints {
  readonly labels: Int32Array;
  readonly dropPath?: DropPath;
  readonly dropout?: HeadDropout;
}

function init(config: PointTransformerConfig, random: Random): PointTransformerParams {
  const { width, headWidth, classes } = config;
  const weights = truncatedNormal(0.02);
  return {
    ...initGroupEncoder(random, config, weights),
    cls_token: parameter(weights([1, 1, width], random)),
    cls_pos: parameter(weights([1, 1, width], random)),
    cls_head_finetune: initHead(random, 2 * width, [headWidth, headWidth], classes),
  };
}

function prepare(
  config: PointTransformerConfig,
  samples: readonly PointSample[],
  random: Random,
): PointTransformerBatch {
  const { depth, dropPath, dropout, headWidth, classes } = config;
  const labels = Int32Array.from(samples, ({ label = -1 }) => label);
  expect(
    labels.every((label) => label >= 0 && label < classes),
    () => `point-transformer: labels must be 0-${classes - 1}, got ${[...new Set(labels)].join(", ")}`,
  );
  const { hostCentres: _, ...grouped } = groupedTensors("point-transformer", samples, config);
  return {
    ...grouped,
    labels,
    dropPath: drawDropPath(random, depth, samples.length, dropPath),
    dropout: drawHeadDropout(random, samples.length, [headWidth, headWidth], dropout),
  };
}

function loss(params: PointTransformerParams, config: PointTransformerConfig, batch: PointTransformerBatch) {
  const { cls, groups } = tokensOf(params, config, batch, byBatch, batch.dropPath);
  const features = tf.concat([cls, maxPoints(groups)], 1) as tf.Tensor2D;
  const scores = applyHead(params.cls_head_finetune, features, byBatch, tf.relu, batch.dropout);
  return { total: crossEntropy(scores, batch.labels, { smoothing: config.smoothing }) };
}

function tokensOf(
  params: PointTransformerParams,
  config: PointTransformerConfig,
  { neighbourhoods, centres }: GroupedPoints,
  normalise: Normalise,
  dropPath?: DropPath,
) {
  const tokens = prependToken(params.cls_token, embedGroups(params, neighbourhoods, normalise));
  const positions = prependToken(params.cls_pos, applyPositions(params.pos_embed, centres));
  const encoded = encodeGroups(params, config, tokens, positions, { dropPath });
  const [batch, , width] = encoded.shape;
  return {
    cls: encoded.slice([0, 0, 0], [batch, 1, width]).reshape([batch, width]) as tf.Tensor2D,
    groups: encoded.slice([0, 1, 0]) as tf.Tensor3D,
  };
}

function features(
  params: PointTransformerParams,
  config: PointTransformerConfig,
  samples: readonly PointSample[],
) {
  return tokensOf(params, config, groupedTensors("point-transformer", samples, config), byRunningStatistics);
}

/** Without `pool`: what the head sees, the class token beside the maximum of the groups. */
function encode(
  params: PointTransformerParams,
  config: PointTransformerConfig,
  samples: readonly PointSample[],
  { pool }: EncodeOptions = {},
) {
  const { cls, groups } = features(params, config, samples);
  return pool === undefined
    ? tf.concat([cls, maxPoints(groups)], 1)
    : poolGroups("point-transformer", groups, pool, cls);
}

function logits(
  params: PointTransformerParams,
  config: PointTransformerConfig,
  samples: readonly PointSample[],
): tf.Tensor2D {
  const seen = encode(params, config, samples) as tf.Tensor2D;
  return applyHead(params.cls_head_finetune, seen, byRunningStatistics, tf.relu);
}

export const pointTransformer = {
  id: "point-transformer",
  modality: "pointcloud",
  summary: "Classifier of point clouds that Point-MAE and Point-CMAE are fine-tuned as",
  paper:
    "Pang et al., Masked Autoencoders for Point Cloud Self-supervised Learning, ECCV 2022, arXiv 2203.06604",
  schema,
  presets: {},
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<PointTransformerConfig, PointSample, PointTransformerBatch, PointTransformerParams>;
