/**
 * The classifier that MAE3D is fine-tuned as: a DGCNN over the whole cloud, of which only the embedder was pretrained.
 * Jiang et al., IEEE TMM 2023, https://arxiv.org/abs/2207.01545; Wang et al., TOG 2019, https://arxiv.org/abs/1801.07829
 *
 *   loss = mean_b -sum_c target_bc log softmax(head([max over points, mean over points]))_c
 *
 * The head: hidden layers of 512 and 256 with batch norm, leaky ReLU 0.2 and dropout 0.5. Of the target 0.2 is spread over
 * the other classes. `frozen` trains the head alone.
 */
import * as tf from "@tensorflow/tfjs";
import { type Classifier, crossEntropy, type EncodeOptions, expect, type Random } from "@unmask/core";
import { z } from "zod";
import { cloudTensor, count, type PointInput, pointInputShape } from "../batch.js";
import { applyDgcnn, type DgcnnParams, initDgcnn } from "../layers/dgcnn.js";
import { applyHead, drawHeadDropout, type HeadDropout, type HeadParams, initHead } from "../layers/head.js";
import { maxPoints } from "../layers/max-points.js";
import { byBatch, byRunningStatistics, leakyRelu, type Normalise } from "../layers/point-conv.js";
import { poolGroups } from "../pool.js";
import type { PointSample } from "../sample.js";

export interface DgcnnClassifierConfig extends PointInput {
  readonly neighbours: number;
  readonly edgeWidths: readonly number[];
  readonly width: number;
  readonly classes: number;
  readonly headWidths: readonly [number, number];
  readonly dropout: number;
  readonly smoothing: number;
  readonly frozen: boolean;
}

const rate = z.number().min(0).lt(1);

const schema = z.strictObject({
  ...pointInputShape,
  points: count.default(2048).describe("points of a cloud"),
  neighbours: count.default(20).describe("neighbours of a point, itself among them"),
  edgeWidths: z.array(count).min(1).default([64, 64, 128, 256]).describe("widths of the edge convolutions"),
  width: count.default(1024).describe("width of a point's features"),
  classes: count.default(40).describe("number of classes"),
  headWidths: z.tuple([count, count]).default([512, 256]).describe("widths of the head's hidden layers"),
  dropout: rate.default(0.5).describe("rate of dropout in the head"),
  smoothing: rate.default(0.2).describe("share of the target spread over the other classes"),
  frozen: z.boolean().default(false).describe("train the head alone"),
}) satisfies z.ZodType<DgcnnClassifierConfig>;

export interface DgcnnClassifierParams {
  readonly embed: DgcnnParams;
  readonly head: HeadParams;
}

export interface DgcnnClassifierBatch {
  /** [B, N, 3] */
  readonly cloud: tf.Tensor3D;
  /** [B, classes] */
  readonly targets: tf.Tensor2D;
  readonly dropout?: HeadDropout;
}

function init(config: DgcnnClassifierConfig, random: Random): DgcnnClassifierParams {
  const { edgeWidths, width, headWidths, classes, frozen } = config;
  const embed = initDgcnn(random, edgeWidths, width);
  if (frozen)
    for (const { 0: conv, 1: norm } of [...embed.edges, embed.joint])
      for (const variable of [conv.weight, norm.weight, norm.bias]) if (variable) variable.trainable = false;
  return { embed, head: initHead(random, 2 * width, headWidths, classes, { bias: false }) };
}

function prepare(
  config: DgcnnClassifierConfig,
  samples: readonly PointSample[],
  random: Random,
): DgcnnClassifierBatch {
  const { points, classes, smoothing, headWidths, dropout } = config;
  const targets = new Float32Array(samples.length * classes).fill(smoothing / Math.max(1, classes - 1));
  samples.forEach(({ label = -1 }, b) => {
    expect(
      label >= 0 && label < classes,
      `dgcnn-classifier: labels must be 0-${classes - 1}, sample ${b} has ${label}`,
    );
    targets[b * classes + label] = 1 - smoothing;
  });
  return {
    cloud: cloudTensor("dgcnn-classifier", samples, points),
    targets: tf.tensor2d(targets, [samples.length, classes]),
    dropout: drawHeadDropout(random, samples.length, headWidths, dropout),
  };
}

function loss(
  params: DgcnnClassifierParams,
  config: DgcnnClassifierConfig,
  { cloud, targets, dropout }: DgcnnClassifierBatch,
) {
  const features = cloudFeatures(params, config, cloud, config.frozen ? byRunningStatistics : byBatch);
  return { total: crossEntropy(applyHead(params.head, features, byBatch, leaky, dropout), targets) };
}

const leaky = (x: tf.Tensor) => leakyRelu(x);

/** Largest and mean feature of the points: [B, N, 3] -> [B, 2D] */
function cloudFeatures(
  { embed }: DgcnnClassifierParams,
  { neighbours }: DgcnnClassifierConfig,
  cloud: tf.Tensor3D,
  normalise: Normalise,
): tf.Tensor2D {
  const points = applyDgcnn(embed, cloud, neighbours, normalise);
  return tf.concat([maxPoints(points), tf.mean(points, 1)], 1) as tf.Tensor2D;
}

function encode(
  params: DgcnnClassifierParams,
  config: DgcnnClassifierConfig,
  samples: readonly PointSample[],
  { pool }: EncodeOptions = {},
) {
  const cloud = cloudTensor("dgcnn-classifier", samples, config.points);
  const points = applyDgcnn(params.embed, cloud, config.neighbours, byRunningStatistics);
  return poolGroups("dgcnn-classifier", points, pool);
}

function logits(
  params: DgcnnClassifierParams,
  config: DgcnnClassifierConfig,
  samples: readonly PointSample[],
): tf.Tensor2D {
  const features = encode(params, config, samples) as tf.Tensor2D;
  return applyHead(params.head, features, byRunningStatistics, leaky);
}

export const dgcnnClassifier = {
  id: "dgcnn-classifier",
  modality: "pointcloud",
  summary: "Classifier of point clouds that MAE3D is fine-tuned as",
  paper: "Wang et al., Dynamic Graph CNN for Learning on Point Clouds, TOG 2019, arXiv 1801.07829",
  schema,
  presets: {},
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<DgcnnClassifierConfig, PointSample, DgcnnClassifierBatch, DgcnnClassifierParams>;
