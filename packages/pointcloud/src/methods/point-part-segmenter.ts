/**
 * Part segmentation from Point-MAE's encoder: Pang et al., ECCV 2022, https://arxiv.org/abs/2203.06604, with the feature
 * propagation of PointNet++ (Qi et al., NeurIPS 2017, https://arxiv.org/abs/1706.02413).
 *
 *   loss = mean over points of -log softmax(head([propagated groups, max, mean, class]))_part
 *
 * Features after several blocks stand side by side for each group and are carried to the points from the three nearest
 * centres, weighted by the inverse of squared distance; the class of a cloud is an input, as is usual for ShapeNetPart.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  type BatchNormParams,
  type ConvParams,
  type DropPath,
  drawDropPath,
  type EncodeOptions,
  expect,
  initBatchNorm,
  type Method,
  type Random,
  tokenCrossEntropy,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import {
  cloudTensor,
  count,
  type GroupedPoints,
  groupedTensors,
  type PointInput,
  pointInputShape,
} from "../batch.js";
import { squaredDistance } from "../geometry/distance.js";
import { nearestPoints } from "../geometry/k-d-tree.js";
import {
  embedGroups,
  encodeGroups,
  type GroupEncoderConfig,
  type GroupEncoderParams,
  groupEncoderShape,
  initGroupEncoder,
} from "../layers/group-encoder.js";
import { maxPoints } from "../layers/max-points.js";
import {
  applyPointConv,
  byBatch,
  byRunningStatistics,
  initPointConv,
  leakyRelu,
  type Normalise,
} from "../layers/point-conv.js";
import { applyPositions } from "../layers/positioned-transformer.js";
import { poolGroups } from "../pool.js";
import type { PointSample } from "../sample.js";

export interface PointPartSegmenterConfig extends PointInput, GroupEncoderConfig {
  readonly parts: number;
  readonly classes: number;
  readonly levels: number;
  readonly propagationWidths: readonly [number, number];
  readonly headWidths: readonly [number, number];
  readonly classWidth: number;
  readonly dropPath: number;
  readonly dropout: number;
}

const rate = z.number().min(0).lt(1);

const schema = z.strictObject({
  ...pointInputShape,
  ...groupEncoderShape,
  points: count.default(2048).describe("points of a cloud"),
  groups: count.default(128).describe("groups of points, the tokens"),
  parts: count.default(50).describe("number of parts, those of all classes together"),
  classes: count.default(16).describe("number of classes that clouds may be of"),
  levels: count.default(3).describe("blocks whose features are used, evenly spread, the last among them"),
  propagationWidths: z
    .tuple([count, count])
    .default([1536, 1024])
    .describe("widths of the layers that points' features pass after they were carried from groups"),
  headWidths: z.tuple([count, count]).default([512, 256]).describe("widths of the head's hidden layers"),
  classWidth: count.default(64).describe("width that a cloud's class is embedded in"),
  dropPath: rate.default(0.1).describe("rate of stochastic depth in the last block"),
  dropout: rate.default(0.5).describe("rate of dropout in the head"),
}) satisfies z.ZodType<PointPartSegmenterConfig>;

interface ConvNormParams {
  readonly conv: ConvParams;
  readonly norm: BatchNormParams;
}

export interface PointPartSegmenterParams extends GroupEncoderParams {
  readonly label: ConvNormParams;
  readonly propagation: readonly [ConvNormParams, ConvNormParams];
  readonly head: readonly [ConvNormParams, ConvNormParams];
  readonly last: ConvParams;
}

interface SegmentedPoints extends GroupedPoints {
  /** [B, N, 3] */
  readonly cloud: tf.Tensor3D;
  /** Share of each group in each point: [B, N, G] */
  readonly shares: tf.Tensor3D;
  /** [B, classes], one-hot */
  readonly classes: tf.Tensor2D;
}

export interface PointPartSegmenterBatch extends SegmentedPoints {
  /** [B * N] */
  readonly parts: Int32Array;
  readonly dropPath?: DropPath;
  /** 0 or 1 / (1 - rate): [B, N, first head width] */
  readonly dropout?: tf.Tensor3D;
}

function init(config: PointPartSegmenterConfig, random: Random): PointPartSegmenterParams {
  const { width, depth, levels, parts, classes, propagationWidths, headWidths, classWidth } = config;
  expect(levels <= depth, `point-part-segmenter: ${levels} levels of ${depth} blocks; take at most ${depth}`);
  const layer = (input: number, out: number, bias = true): ConvNormParams => ({
    conv: initPointConv(random, input, out, { bias }),
    norm: initBatchNorm(out),
  });
  const [first, second] = propagationWidths;
  const all = second + 2 * levels * width + classWidth;
  return {
    ...initGroupEncoder(random, config, truncatedNormal(0.02)),
    label: layer(classes, classWidth, false),
    propagation: [layer(levels * width + 3, first), layer(first, second)],
    head: [layer(all, headWidths[0]), layer(headWidths[0], headWidths[1])],
    last: initPointConv(random, headWidths[1], parts),
  };
}

function inputs(config: PointPartSegmenterConfig, samples: readonly PointSample[]): SegmentedPoints {
  const name = "point-part-segmenter";
  const { points, groups, classes } = config;
  const { hostCentres, ...grouped } = groupedTensors(name, samples, config);
  const shares = new Float32Array(samples.length * points * groups);
  const oneHot = new Float32Array(samples.length * classes);
  samples.forEach(({ points: cloud, label = 0 }, b) => {
    expect(label >= 0 && label < classes, `${name}: class ${label} of sample ${b} is not one of ${classes}`);
    oneHot[b * classes + label] = 1;
    const centres = hostCentres.subarray(b * groups * 3, (b + 1) * groups * 3);
    spread(cloud, centres, shares.subarray(b * points * groups, (b + 1) * points * groups));
  });
  return {
    ...grouped,
    cloud: cloudTensor(name, samples, points),
    shares: tf.tensor3d(shares, [samples.length, points, groups]),
    classes: tf.tensor2d(oneHot, [samples.length, classes]),
  };
}

/** Of the three centres nearest to each point the inverse squared distances, as shares of their sum. */
function spread(cloud: Float32Array, centres: Float32Array, shares: Float32Array): void {
  const groups = centres.length / 3;
  const k = Math.min(3, groups);
  const near = nearestPoints(centres, cloud, k);
  for (let i = 0; i < cloud.length / 3; i++) {
    const own = near.subarray(i * k, (i + 1) * k);
    const weights = Array.from(own, (group) => 1 / (squaredDistance(cloud, i, centres, group) + 1e-8));
    const sum = weights.reduce((a, b) => a + b, 0);
    own.forEach((group, j) => {
      shares[i * groups + group] = weights[j]! / sum;
    });
  }
}

function prepare(
  config: PointPartSegmenterConfig,
  samples: readonly PointSample[],
  random: Random,
): PointPartSegmenterBatch {
  const { points, parts: known, depth, dropPath, dropout, headWidths } = config;
  const parts = new Int32Array(samples.length * points);
  samples.forEach(({ parts: own }, b) => {
    expect(
      own !== undefined && own.length === points && own.every((part) => part >= 0 && part < known),
      () => `point-part-segmenter: sample ${b} needs ${points} parts of 0-${known - 1}`,
    );
    parts.set(own, b * points);
  });
  const shape: [number, number, number] = [samples.length, points, headWidths[0]];
  return {
    ...inputs(config, samples),
    parts,
    dropPath: drawDropPath(random, depth, samples.length, dropPath),
    ...(dropout > 0 && {
      dropout: tf.tensor3d(
        random.uniforms(shape[0] * shape[1] * shape[2]).map((u) => (u < dropout ? 0 : 1 / (1 - dropout))),
        shape,
      ),
    }),
  };
}

function loss(
  params: PointPartSegmenterParams,
  config: PointPartSegmenterConfig,
  { parts, ...batch }: PointPartSegmenterBatch,
) {
  const scores = scoresOf(params, config, batch, byBatch, batch);
  return { total: tf.mean(tokenCrossEntropy(scores, parts)) as tf.Scalar };
}

/** Features after some blocks side by side: [B, G, levels * D] */
function levelsOf(
  params: PointPartSegmenterParams,
  config: PointPartSegmenterConfig,
  { neighbourhoods, centres }: GroupedPoints,
  normalise: Normalise,
  dropPath?: DropPath,
): tf.Tensor3D {
  const { depth, levels, epsilon } = config;
  const used = Array.from({ length: levels }, (_, i) => Math.ceil(((i + 1) * depth) / levels) - 1);
  const kept: tf.Tensor[] = [];
  const tokens = embedGroups(params, neighbourhoods, normalise);
  encodeGroups(params, config, tokens, applyPositions(params.pos_embed, centres), {
    dropPath,
    onBlock: (index, output) => {
      if (used.includes(index)) kept.push(applyLayerNorm(params.norm, output, epsilon));
    },
  });
  return tf.concat(kept, 2) as tf.Tensor3D;
}

/** Scores of all parts at every point: [B, N, parts] */
function scoresOf(
  params: PointPartSegmenterParams,
  config: PointPartSegmenterConfig,
  batch: SegmentedPoints,
  normalise: Normalise,
  { dropPath, dropout }: { dropPath?: DropPath; dropout?: tf.Tensor3D } = {},
): tf.Tensor3D {
  const { cloud, shares, classes } = batch;
  const layer = ({ conv, norm }: ConvNormParams, x: tf.Tensor) => normalise(norm, applyPointConv(conv, x));
  const groups = levelsOf(params, config, batch, normalise, dropPath);
  const carried = tf.concat([cloud, tf.matMul(shares, groups)], 2); // [B, N, 3 + levels * D]
  let points: tf.Tensor = carried;
  for (const step of params.propagation) points = tf.relu(layer(step, points));
  const whole = tf.concat(
    [maxPoints(groups), tf.mean(groups, 1), leakyRelu(layer(params.label, classes))],
    1,
  );
  const [batchSize, count] = cloud.shape;
  const everywhere = tf.add(whole.expandDims(1), tf.zeros([batchSize, count, whole.shape[1]!]));
  const first = tf.relu(layer(params.head[0], tf.concat([points, everywhere], 2)));
  const second = tf.relu(layer(params.head[1], dropout === undefined ? first : tf.mul(first, dropout)));
  return applyPointConv(params.last, second) as tf.Tensor3D;
}

/** Scores of all parts at every point of whole clouds: [B, N, parts] */
export function partLogits(
  params: PointPartSegmenterParams,
  config: PointPartSegmenterConfig,
  samples: readonly PointSample[],
): tf.Tensor3D {
  return scoresOf(params, config, inputs(config, samples), byRunningStatistics);
}

function encode(
  params: PointPartSegmenterParams,
  config: PointPartSegmenterConfig,
  samples: readonly PointSample[],
  { pool }: EncodeOptions = {},
) {
  const grouped = groupedTensors("point-part-segmenter", samples, config);
  return poolGroups("point-part-segmenter", levelsOf(params, config, grouped, byRunningStatistics), pool);
}

export const pointPartSegmenter = {
  id: "point-part-segmenter",
  modality: "pointcloud",
  summary: "Part segmentation of point clouds from the encoder of Point-MAE or Point-CMAE",
  paper:
    "Pang et al., Masked Autoencoders for Point Cloud Self-supervised Learning, ECCV 2022, arXiv 2203.06604",
  schema,
  presets: {},
  init,
  prepare,
  loss,
  encode,
} satisfies Method<PointPartSegmenterConfig, PointSample, PointPartSegmenterBatch, PointPartSegmenterParams>;
