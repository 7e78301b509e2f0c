/**
 * The classifier of actions that SkeletonMAE and MAMP are fine-tuned as: Mao et al., MAMP, ICCV 2023,
 * https://arxiv.org/abs/2308.07092, after Wu et al., SkeletonMAE, 2022, https://arxiv.org/abs/2209.02399
 *
 *   loss = mean_b -sum_c target_bc log softmax(head(h_b))_c,   h_b: mean over persons and time of each joint's tokens, joined
 *   head = Linear - BatchNorm - ReLU - Linear, the target smoothed
 *
 * The published recipe: AdamW, batch 48, 100 epochs, 5 of warm-up, lr 5e-4 (3e-4 in some scripts), layer decay 0.8, drop
 * path rising to 0.3, smoothing 0.1, clips cropped in time and turned. Names of parameters are those of MAMP's code. Its
 * quirks, kept: dropout falls on the encoder's tokens, before the mean over time, and not on the head's hidden layer; an
 * absent person's zeros are encoded and enter the mean over persons.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBatchNorm,
  applyLinear,
  type BatchNormParams,
  type Classifier,
  crossEntropy,
  type DropPath,
  drawDropPath,
  dropout,
  type EncodeOptions,
  expect,
  initBatchNorm,
  initLinear,
  type LinearParams,
  type Random,
  trainBatchNorm,
} from "@unmask/core";
import { z } from "zod";
import {
  clipsOf,
  count,
  encodeClips,
  initSkeletonEncoder,
  poolClips,
  type SkeletonEncoderConfig,
  type SkeletonEncoderParams,
  skeletonEncoderShape,
  skeletonGrid,
} from "../skeleton/encoder.js";
import type { SkeletonSample } from "../skeleton/sample.js";

export interface SkeletonClassifierConfig extends SkeletonEncoderConfig {
  readonly classes: number;
  readonly headWidth: number;
  readonly dropout: number;
  readonly dropPath: number;
  readonly smoothing: number;
}

const rate = z.number().min(0).lt(1);

const schema = z.strictObject({
  ...skeletonEncoderShape,
  classes: count.default(60).describe("number of classes"),
  headWidth: count.default(2048).describe("width of the head's hidden layer"),
  dropout: rate.default(0.3).describe("rate of dropout of the encoder's tokens"),
  dropPath: rate.default(0.3).describe("rate of stochastic depth in the last block"),
  smoothing: rate.default(0.1).describe("share of the target spread over all classes"),
}) satisfies z.ZodType<SkeletonClassifierConfig>;

export interface SkeletonClassifierParams extends SkeletonEncoderParams {
  readonly head: {
    /** [hidden, V' * D] */
    readonly fc1: LinearParams;
    readonly bn: BatchNormParams;
    readonly fc2: LinearParams;
  };
}

export interface SkeletonClassifierBatch {
  /** [B * persons, T, V, C] */
  readonly clips: tf.Tensor4D;
  /** Class of each sample. [B] */
  readonly labels: Int32Array;
  readonly dropPath?: DropPath;
  /** Of the draws of dropout. */
  readonly seed: number;
}

function init(config: SkeletonClassifierConfig, random: Random): SkeletonClassifierParams {
  const { width, headWidth, classes } = config;
  const [, groups] = skeletonGrid(config);
  return {
    ...initSkeletonEncoder(random, config),
    head: {
      fc1: initLinear(random, groups * width, headWidth),
      bn: initBatchNorm(headWidth),
      fc2: initLinear(random, headWidth, classes),
    },
  };
}

function prepare(
  config: SkeletonClassifierConfig,
  samples: readonly SkeletonSample[],
  random: Random,
): SkeletonClassifierBatch {
  const { classes, depth, dropPath, persons } = config;
  const labels = Int32Array.from(samples, ({ label = -1 }, b) => {
    expect(
      label >= 0 && label < classes,
      `skeleton-classifier: labels must be 0-${classes - 1}, sample ${b} has ${label}; set classes, or leave out what has no label`,
    );
    return label;
  });
  return {
    clips: clipsOf("skeleton-classifier", config, samples),
    labels,
    dropPath: drawDropPath(random, depth, samples.length * persons, dropPath),
    seed: random.int(2 ** 32),
  };
}

function loss(
  { head, ...encoder }: SkeletonClassifierParams,
  config: SkeletonClassifierConfig,
  { clips, labels, dropPath, seed }: SkeletonClassifierBatch,
) {
  const tokens = encodeClips(encoder, config, clips, { dropPath });
  const seen = byJoint(config, dropout(tokens, config.dropout, seed));
  const hidden = tf.relu(trainBatchNorm(head.bn, applyLinear(head.fc1, seen)));
  const scores = applyLinear(head.fc2, hidden) as tf.Tensor2D;
  return { total: crossEntropy(scores, labels, { smoothing: config.smoothing }) };
}

/** The mean over persons and time slots of each joint's tokens, one joint after another: [B * persons, N, D] -> [B, V' * D] */
function byJoint(config: SkeletonClassifierConfig, tokens: tf.Tensor3D): tf.Tensor2D {
  const [slots, groups] = skeletonGrid(config);
  return tf.mean(tokens.reshape([-1, config.persons * slots, groups * config.width]), 1) as tf.Tensor2D;
}

/** Without `pool`: what the head sees. */
function encode(
  params: SkeletonClassifierParams,
  config: SkeletonClassifierConfig,
  samples: readonly SkeletonSample[],
  { pool }: EncodeOptions = {},
): tf.Tensor {
  const tokens = encodeClips(params, config, clipsOf("skeleton-classifier", config, samples));
  return pool === undefined
    ? byJoint(config, tokens)
    : poolClips("skeleton-classifier", tokens, config, pool);
}

function logits(
  params: SkeletonClassifierParams,
  config: SkeletonClassifierConfig,
  samples: readonly SkeletonSample[],
): tf.Tensor2D {
  const { fc1, bn, fc2 } = params.head;
  const hidden = tf.relu(applyBatchNorm(bn, applyLinear(fc1, encode(params, config, samples))));
  return applyLinear(fc2, hidden) as tf.Tensor2D;
}

export const skeletonClassifier = {
  id: "skeleton-classifier",
  modality: "graph",
  summary: "Classifier of skeleton sequences that SkeletonMAE and MAMP are fine-tuned as",
  paper:
    "Mao et al., Masked Motion Predictors are Strong 3D Action Representation Learners, ICCV 2023, arXiv 2308.07092",
  schema,
  presets: {},
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<
  SkeletonClassifierConfig,
  SkeletonSample,
  SkeletonClassifierBatch,
  SkeletonClassifierParams
>;
