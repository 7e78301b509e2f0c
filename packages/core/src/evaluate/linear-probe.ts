/**
 * Linear probe by MAE's recipe (He et al., CVPR 2022, appendix A.1): frozen features, BatchNorm without affine, one
 * linear layer, LARS without weight decay, cosine schedule with warm-up.
 *
 * LARS turns the weights by a share of their length at each update, so what carries over to other amounts of data is
 * the number of updates and the learning rate. The defaults keep both: lr 6.4 (the paper's blr 0.1 at its batch of
 * 16384) and about 78 updates an epoch (ImageNet at that batch).
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { crossEntropy } from "../losses/cross-entropy.js";
import { truncatedNormal } from "../nn/init.js";
import { applyLinear, initLinear, type LinearParams } from "../nn/linear.js";
import { lars } from "../optim/lars.js";
import { decayRules } from "../optim/rules.js";
import { cosineSchedule, scaleLr } from "../optim/schedule.js";
import { createRandom, type Random } from "../random.js";
import { tidy } from "../scope.js";
import type { Dataset } from "../train/dataset.js";
import type { SkippedSample } from "../train/loader.js";
import { disposeTree, trainable } from "../tree.js";
import { BatchNorm } from "./batch-norm.js";
import { type Encoder, extractFeatures, type FeatureFunction, type FeatureOptions } from "./features.js";
import { classificationTask, commonClasses, type FeatureRows, type LabelledRows } from "./labelled.js";
import { overSeeds, type Scores, type SeededScores, scoresOf } from "./scores.js";

export interface ProbeOptions {
  /** 90 when absent. */
  readonly epochs?: number;
  /** A ninth of the epochs when absent. */
  readonly warmupEpochs?: number;
  /** A 78th of train, between 32 and 16384, when absent. */
  readonly batchSize?: number;
  /** 6.4 when absent. */
  readonly lr?: number;
  /** Instead of `lr`: lr = blr * batchSize / 256. */
  readonly blr?: number;
  /** Of initial weights and order; 0, 1 and 2 when absent. */
  readonly seeds?: readonly number[];
  readonly onEpoch?: (state: ProbeEpoch) => void;
}

export interface ProbeEpoch {
  readonly seed: number;
  /** Counts from 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Mean over the epoch's updates. */
  readonly loss: number;
  readonly lr: number;
}

/** The paper's, in samples per update and updates per epoch. */
const BATCH = 16384;
const UPDATES = 78;

/** Probes features that were extracted before: the same views in every epoch. */
export async function probeFeatures(
  train: FeatureRows,
  test: FeatureRows,
  options: ProbeOptions = {},
): Promise<SeededScores> {
  return probe("probeFeatures", { first: train, ofEpoch: async () => train }, test, options);
}

export interface LinearProbeOptions extends ProbeOptions {
  /** Encodes a new training view of every sample in each epoch, as the paper does; one evaluation view when absent. */
  readonly augment?: boolean;
  /** How features are extracted. */
  readonly features?: Omit<FeatureOptions, "random">;
}

export interface LinearProbeScores extends SeededScores {
  /** Samples of train and test that could not be read. */
  readonly skipped: readonly SkippedSample[];
}

/** Extracts the features of both sets with a frozen encoder (or a function of samples) and probes them. */
export async function linearProbe<S>(
  source: Encoder<S> | FeatureFunction<S>,
  train: Dataset<S>,
  test: Dataset<S>,
  { augment = false, features, ...options }: LinearProbeOptions = {},
): Promise<LinearProbeScores> {
  commonClasses("linearProbe", train, test);
  const testFeatures = await extractFeatures(source, test, features);
  const view = (random?: Random) => extractFeatures(source, train, { ...features, random });
  const first = await view();
  const ofEpoch = async (random: Random) => (augment ? view(random) : first);
  const scores = await probe("linearProbe", { first, ofEpoch }, testFeatures, options);
  return { ...scores, skipped: [...first.skipped, ...testFeatures.skipped] };
}

interface TrainFeatures {
  /** The evaluation view, which sizes and classes are read from. */
  readonly first: FeatureRows;
  ofEpoch(random: Random): Promise<FeatureRows>;
}

async function probe(
  name: string,
  features: TrainFeatures,
  test: FeatureRows,
  options: ProbeOptions,
): Promise<SeededScores> {
  const { seeds = [0, 1, 2] } = options;
  expect(seeds.length > 0, `${name}: no seed given; pass for example [0, 1, 2]`);
  const task = classificationTask(name, features.first, test);
  const perSeed: (Scores & { seed: number })[] = [];
  for (const seed of seeds) {
    const random = createRandom(seed).child("linear probe");
    const rowsOf = async (epoch: number) => {
      const rows = await features.ofEpoch(random.child("view", epoch));
      return rows === features.first ? task.train : classificationTask(name, rows, test).train;
    };
    const head = tidy(() =>
      initLinear(random, task.width, task.classes.length, { init: truncatedNormal(0.01) }),
    );
    try {
      const norm = new BatchNorm(task.width);
      await fit(name, head, norm, rowsOf, task.train.count, random, seed, options);
      const logits = await predict(head, norm, task.test);
      perSeed.push({ seed, ...scoresOf(name, logits, task.test.labels, task.classes) });
    } finally {
      disposeTree(head);
    }
  }
  return overSeeds(perSeed);
}

async function fit(
  name: string,
  head: LinearParams,
  norm: BatchNorm,
  rowsOf: (epoch: number) => Promise<LabelledRows>,
  count: number,
  random: Random,
  seed: number,
  options: ProbeOptions,
): Promise<void> {
  const { epochs = 90, warmupEpochs = epochs / 9, onEpoch } = options;
  const { batchSize = Math.min(Math.max(Math.round(count / UPDATES), 32), BATCH) } = options;
  expect(
    Number.isInteger(batchSize) && batchSize > 1 && Number.isInteger(epochs) && epochs > 0,
    `${name}: expected whole epochs and a batch of at least 2, got ${epochs} and ${batchSize}`,
  );
  expect(count > 1, `${name}: train holds 1 labelled sample; at least 2 are needed`);
  const lr =
    options.lr ?? (options.blr === undefined ? 6.4 : scaleLr(options.blr, Math.min(batchSize, count)));
  const schedule = cosineSchedule({ lr, warmupEpochs, epochs });
  const optimizer = lars({ rules: decayRules(0) });
  const params = trainable(head);
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const rows = await rowsOf(epoch);
      const order = random.child("order", epoch).permutation(rows.count);
      const size = Math.min(batchSize, rows.count);
      const steps = Math.floor(rows.count / size);
      const losses: tf.Scalar[] = [];
      for (let step = 0; step < steps; step++) {
        const batch = takeBatch(rows, norm.width, order.subarray(step * size, (step + 1) * size));
        norm.normaliseBatch(batch.values);
        const { value, gradients } = gradientsOf(head, params, batch, norm.width);
        optimizer.step(params, gradients, { lr: schedule(epoch + step / steps) });
        for (const gradient of gradients.values()) gradient.dispose();
        losses.push(value);
      }
      const mean = tidy(() => tf.mean(tf.stack(losses)));
      const [loss] = await mean.data();
      for (const tensor of [mean, ...losses]) tensor.dispose();
      expect(
        Number.isFinite(loss),
        `${name}: the loss is not finite in epoch ${epoch + 1}; give a lower lr than ${lr}`,
      );
      onEpoch?.({ seed, epoch: epoch + 1, epochs, loss: loss!, lr: schedule(epoch) });
    }
  } finally {
    optimizer.dispose();
  }
}

interface ProbeBatch {
  /** [B, width] */
  readonly values: Float32Array;
  readonly labels: Int32Array;
}

function takeBatch({ features, labels }: LabelledRows, width: number, rows: Int32Array): ProbeBatch {
  const values = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    values.set(features.subarray(row * width, (row + 1) * width), i * width);
  });
  return { values, labels: rows.map((row) => labels[row]!) };
}

function gradientsOf(
  head: LinearParams,
  params: ReadonlyMap<string, tf.Variable>,
  { values, labels }: ProbeBatch,
  width: number,
) {
  return tidy(() => {
    const x = tf.tensor2d(values, [labels.length, width]);
    const { value, grads } = tf.variableGrads(
      () => crossEntropy(applyLinear(head, x, { constantInput: true }), labels),
      [...params.values()],
    );
    const gradients = new Map([...params].map(([path, { name }]) => [path, grads[name]!]));
    // a Map is no plain object: its tensors must be kept by hand
    for (const gradient of gradients.values()) tf.keep(gradient);
    return { value, gradients };
  });
}

async function predict(
  head: LinearParams,
  norm: BatchNorm,
  { features, count }: LabelledRows,
): Promise<Float32Array> {
  const { width } = norm;
  const classes = head.weight.shape[0]!;
  const logits = new Float32Array(count * classes);
  const step = Math.max(1, Math.floor(2 ** 22 / Math.max(width, classes)));
  for (let start = 0; start < count; start += step) {
    const rows = Math.min(step, count - start);
    const values = norm.normalise(features.subarray(start * width, (start + rows) * width));
    const part = tidy(() => applyLinear(head, tf.tensor2d(values, [rows, width]))); // [rows, classes]
    logits.set((await part.data()) as Float32Array, start * classes);
    part.dispose();
  }
  return logits;
}
