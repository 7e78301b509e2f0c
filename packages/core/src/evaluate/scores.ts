/** What every classifier's evaluation returns, and the same over seeds. */
import { expect } from "../errors.js";
import { argmaxRows, type ConfusionMatrix, confusionMatrix, topKAccuracy } from "./metrics.js";
import { type Spread, spread } from "./spread.js";

export interface Scores {
  /** Share of test samples whose class has the highest score. */
  readonly top1: number;
  /** Share whose class is among the five highest scores; 1 with five classes or fewer. */
  readonly top5: number;
  readonly confusion: ConfusionMatrix;
  /** Names in the order of rows and columns of `confusion`. */
  readonly classes: readonly string[];
  /** Predicted class of each labelled test sample. */
  readonly predicted: Int32Array;
}

/** Means over seeds; counts of `confusion` are those of all seeds together, `predicted` of the first. */
export interface SeededScores extends Scores {
  readonly perSeed: readonly (Scores & { readonly seed: number })[];
  readonly spread: { readonly top1: Spread; readonly top5: Spread };
}

/**
 * Scores of a classifier's output. Throws where the output is not finite.
 * @param name the function that asks, for its message
 * @param scores [n, classes]
 */
export function scoresOf(
  name: string,
  scores: Float32Array | Float64Array,
  labels: Int32Array,
  classes: readonly string[],
): Scores {
  expect(
    scores.every(Number.isFinite),
    `${name}: the classifier's output is not finite; lower the learning rate or check the features`,
  );
  const predicted = argmaxRows(scores, classes.length);
  return {
    top1: topKAccuracy(scores, labels, classes.length, 1),
    top5: topKAccuracy(scores, labels, classes.length, 5),
    confusion: confusionMatrix(predicted, labels, classes.length),
    classes,
    predicted,
  };
}

/** Joins the scores of several seeds. */
export function overSeeds<T extends Scores & { readonly seed: number }>(
  perSeed: readonly T[],
): SeededScores & { readonly perSeed: readonly T[] } {
  const [first] = perSeed as readonly [T];
  const top1 = spread(perSeed.map((scores) => scores.top1));
  const top5 = spread(perSeed.map((scores) => scores.top5));
  const counts = first.confusion.counts.map((_, i) =>
    perSeed.reduce((sum, { confusion }) => sum + confusion.counts[i]!, 0),
  );
  return {
    top1: top1.mean,
    top5: top5.mean,
    confusion: { counts, size: first.confusion.size },
    classes: first.classes,
    predicted: first.predicted,
    perSeed,
    spread: { top1, top5 },
  };
}
