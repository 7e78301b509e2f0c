/** Features of a whole data set: what the probes are run on. */
import type * as tf from "@tensorflow/tfjs";
import { BadSampleError, expect } from "../errors.js";
import type { Pool } from "../method.js";
import type { Random } from "../random.js";
import type { Dataset } from "../train/dataset.js";
import type { SkippedSample } from "../train/loader.js";
import type { FeatureRows } from "./labelled.js";

/** Anything that turns samples into one row each: an encoder, or raw pixels for comparison. */
export type FeatureFunction<S> = (samples: readonly S[]) => Float32Array | tf.Tensor;

/** The part of a model that features need. */
export interface Encoder<S> {
  encode(samples: readonly S[], options?: { pool?: Pool }): tf.Tensor;
}

export interface Features extends FeatureRows {
  /** What a person calls each row's sample. */
  readonly names: readonly string[];
  /** Samples that could not be read; they have no row. */
  readonly skipped: readonly SkippedSample[];
}

export interface FeatureOptions {
  /** Samples encoded at once; 256 when absent. */
  readonly batchSize?: number;
  /** What the encoder returns for a sample; the method's own default when absent. Not for feature functions. */
  readonly pool?: Exclude<Pool, "tokens">;
  /** Draws of the training view; the evaluation view when absent. */
  readonly random?: Random;
  readonly onProgress?: (progress: FeatureProgress) => void;
}

export interface FeatureProgress {
  readonly done: number;
  readonly total: number;
  readonly skipped: number;
}

/**
 * One row for each sample that can be read, in the order of the data set. The next batch is read while one is encoded.
 * @param source a model, or a function of samples (its tensors are disposed)
 */
export async function extractFeatures<S>(
  source: Encoder<S> | FeatureFunction<S>,
  dataset: Dataset<S>,
  { batchSize = 256, pool, random, onProgress }: FeatureOptions = {},
): Promise<Features> {
  expect(
    Number.isInteger(batchSize) && batchSize > 0,
    `extractFeatures: batchSize must be a positive integer, got ${batchSize}`,
  );
  const encode: FeatureFunction<S> =
    typeof source === "function" ? source : (samples) => source.encode(samples, pool && { pool });
  const skipped: SkippedSample[] = [];
  const indices: number[] = [];
  let width = 0;
  let features = new Float32Array(0);
  for await (const batch of readBatches(dataset, batchSize, random)) {
    skipped.push(...batch.skipped);
    if (batch.samples.length > 0) {
      const rows = await hostRows(encode(batch.samples), batch.samples.length);
      if (indices.length === 0) {
        width = rows.length / batch.samples.length;
        features = new Float32Array(dataset.length * width);
      }
      expect(
        rows.length === batch.samples.length * width,
        () =>
          `extractFeatures: rows of ${width} and of ${rows.length / batch.samples.length}; give all samples one size`,
      );
      features.set(rows, indices.length * width);
      indices.push(...batch.indices);
    }
    onProgress?.({ done: batch.end, total: dataset.length, skipped: skipped.length });
  }
  expect(
    indices.length > 0,
    () =>
      `extractFeatures: none of the ${dataset.length} samples of ${dataset.name} can be read (${skipped[0]?.reason ?? "it is empty"}); check the path and the reader`,
  );
  return {
    features: features.subarray(0, indices.length * width),
    width,
    labels: dataset.labels && Int32Array.from(indices, (i) => dataset.labels![i]!),
    classes: dataset.classes,
    names: indices.map((i) => dataset.nameOf(i)),
    skipped,
  };
}

interface ReadBatch<S> {
  readonly samples: S[];
  readonly indices: number[];
  readonly skipped: SkippedSample[];
  readonly end: number;
}

/** All samples in order; batch i + 1 is being read while batch i is in use. */
async function* readBatches<S>(
  dataset: Dataset<S>,
  size: number,
  random: Random | undefined,
): AsyncGenerator<ReadBatch<S>> {
  const read = async (start: number): Promise<ReadBatch<S>> => {
    const end = Math.min(start + size, dataset.length);
    const batch: ReadBatch<S> = { samples: [], indices: [], skipped: [], end };
    const reads = Array.from({ length: end - start }, (_, i) =>
      dataset.get(start + i, random?.child(start + i)),
    );
    const settled = await Promise.allSettled(reads);
    settled.forEach((result, i) => {
      if (result.status === "fulfilled") {
        batch.samples.push(result.value);
        batch.indices.push(start + i);
      } else if (result.reason instanceof BadSampleError)
        batch.skipped.push({ index: start + i, sample: result.reason.sample, reason: result.reason.reason });
      else throw result.reason;
    });
    return batch;
  };
  let next = dataset.length > 0 ? read(0) : undefined;
  while (next !== undefined) {
    const batch: ReadBatch<S> = await next;
    next = batch.end < dataset.length ? read(batch.end) : undefined;
    next?.catch(() => undefined); // reported when awaited; nobody awaits it when the consumer stops early
    yield batch;
  }
}

async function hostRows(rows: Float32Array | tf.Tensor, count: number): Promise<Float32Array> {
  if (rows instanceof Float32Array) {
    expect(
      rows.length > 0 && rows.length % count === 0,
      () => `extractFeatures: ${rows.length} values are no whole number of features for ${count} samples`,
    );
    return rows;
  }
  try {
    expect(
      rows.rank === 2 && rows.shape[0] === count,
      () =>
        `extractFeatures: expected features [${count}, D], got [${rows.shape}]; pool the tokens, with cls or mean`,
    );
    return (await rows.data()) as Float32Array;
  } finally {
    rows.dispose();
  }
}
