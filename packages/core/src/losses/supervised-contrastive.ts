import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { similarityLogits } from "./info-nce.js";

export interface SupervisedContrastiveOptions {
  /** One per sample; absent, only views of one sample are positives of each other. */
  readonly labels?: Int32Array;
  readonly temperature: number;
  /** The loss is multiplied by temperature / baseTemperature; default: no factor. */
  readonly baseTemperature?: number;
  /** Views whose rows are anchors; the others only serve for comparison. Default all. */
  readonly anchorViews?: readonly number[];
  /** Divides rows by their length first; default true. */
  readonly normalise?: boolean;
}

/**
 * Supervised contrastive loss (Khosla et al., the form with the sum outside the logarithm): for every anchor the mean
 * log-probability of its positives among all other rows; the mean over the anchors that have a positive.
 * @param features [B, V, D], V views of each sample
 */
export function supervisedContrastive(features: tf.Tensor, options: SupervisedContrastiveOptions): tf.Scalar {
  const [batch, views, width] = features.shape as [number, number, number];
  const { labels, temperature, baseTemperature = temperature, normalise } = options;
  expect(
    features.rank === 3 && (labels === undefined || labels.length === batch),
    () =>
      `supervisedContrastive: expected features [B, V, D] and B labels, got [${features.shape}] and ${labels?.length ?? "no"} labels`,
  );
  const rows = features.reshape([batch * views, width]);
  const weights = positiveWeights(batch, views, labels, new Set(options.anchorViews ?? range(views)));
  const self = tf.mul(tf.eye(batch * views), -1e9);
  const logits = tf.add(similarityLogits(rows, rows, { temperature, normalise }), self);
  return tf.mul(tf.sum(tf.mul(tf.logSoftmax(logits), weights)), -temperature / baseTemperature);
}

/** [B * V, B * V]: 1 / (positives of the anchor) / (anchors) where row and column are a positive pair. */
function positiveWeights(
  batch: number,
  views: number,
  labels: Int32Array | undefined,
  anchorViews: ReadonlySet<number>,
): tf.Tensor2D {
  const count = batch * views;
  const label = (row: number) =>
    labels === undefined ? Math.floor(row / views) : labels[Math.floor(row / views)]!;
  const positives = range(count).map((row) =>
    anchorViews.has(row % views)
      ? range(count).filter((other) => other !== row && label(other) === label(row))
      : [],
  );
  const anchors = positives.filter((of) => of.length > 0).length;
  expect(
    anchors > 0,
    "supervisedContrastive: no anchor has a positive; give two views of each sample, or two samples with one label",
  );
  const weights = new Float32Array(count * count);
  positives.forEach((of, row) => {
    for (const other of of) weights[row * count + other] = 1 / (of.length * anchors);
  });
  return tf.tensor2d(weights, [count, count]);
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
