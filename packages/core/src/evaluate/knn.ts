/**
 * Weighted k-nearest-neighbour classification, the protocol of Wu et al., CVPR 2018 (instance discrimination) and of
 * DINO, ICCV 2021: cosine similarity s, each of the k nearest votes for its class with weight exp(s / temperature).
 */
import { expect } from "../errors.js";
import { classificationTask, type FeatureRows } from "./labelled.js";
import { rowProducts, unitRows } from "./row-products.js";
import { type Scores, scoresOf } from "./scores.js";

export interface KnnOptions {
  /** Neighbours that vote; 20 when absent, or all of train where it is smaller. */
  readonly k?: number;
  /** 0.07 when absent. "majority" lets all neighbours count the same. */
  readonly temperature?: number | "majority";
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

/**
 * Classifies the test rows by their nearest train rows. Of equally similar neighbours the one of lower index comes
 * first, of equal votes the lower class.
 */
export async function knn(train: FeatureRows, test: FeatureRows, options: KnnOptions = {}): Promise<Scores> {
  const { k = 20, temperature = 0.07, onProgress } = options;
  expect(Number.isInteger(k) && k > 0, `knn: k must be a positive integer, got ${k}`);
  expect(
    temperature === "majority" || temperature > 0,
    `knn: temperature must be positive or "majority", got ${temperature}`,
  );
  const task = classificationTask("knn", train, test);
  const { width, classes } = task;
  const bank = unitRows("knn", task.train.features, width);
  const queries = unitRows("knn", task.test.features, width);
  const count = Math.min(k, task.train.count);
  const votes = new Float64Array(task.test.count * classes.length);
  const nearest = new Nearest(count);
  for await (const { start, rows, products } of rowProducts(queries, bank, width)) {
    for (let row = 0; row < rows; row++) {
      nearest.take(products, row * task.train.count, task.train.count);
      const own = votes.subarray((start + row) * classes.length, (start + row + 1) * classes.length);
      for (let i = 0; i < count; i++) {
        // relative to similarity 1, so that low temperatures do not overflow
        const weight = temperature === "majority" ? 1 : Math.exp((nearest.similarity[i]! - 1) / temperature);
        own[task.train.labels[nearest.index[i]!]!]! += weight;
      }
    }
    onProgress?.({ done: start + rows, total: task.test.count });
  }
  return scoresOf("knn", votes, task.test.labels, classes);
}

/** The most similar of a row of similarities, most similar first. */
class Nearest {
  readonly similarity: Float64Array;
  readonly index: Int32Array;

  constructor(private readonly count: number) {
    this.similarity = new Float64Array(count);
    this.index = new Int32Array(count);
  }

  take(values: Float32Array, offset: number, length: number): void {
    const { similarity, index, count } = this;
    similarity.fill(-Infinity);
    let least = -Infinity;
    for (let i = 0; i < length; i++) {
      const value = values[offset + i]!;
      if (value <= least) continue;
      let place = count - 1;
      for (; place > 0 && similarity[place - 1]! < value; place--) {
        similarity[place] = similarity[place - 1]!;
        index[place] = index[place - 1]!;
      }
      similarity[place] = value;
      index[place] = i;
      least = similarity[count - 1]!;
    }
  }
}
