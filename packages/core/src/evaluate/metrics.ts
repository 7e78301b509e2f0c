/** Classification metrics over plain arrays. Rows of scores are samples; all results are fractions in [0, 1]. */
import { expect } from "../errors.js";

/**
 * The index of each row's highest score; of equal scores the lowest index.
 * @param scores [n, classes]
 */
export function argmaxRows(scores: ArrayLike<number>, classes: number): Int32Array {
  const best = new Int32Array(rowCount("argmaxRows", scores.length, classes));
  for (let row = 0; row < best.length; row++) {
    let top = 0;
    for (let c = 1; c < classes; c++) if (scores[row * classes + c]! > scores[row * classes + top]!) top = c;
    best[row] = top;
  }
  return best;
}

/** Share of predictions that equal the label. */
export function accuracy(predicted: ArrayLike<number>, labels: ArrayLike<number>): number {
  const n = pairCount("accuracy", predicted, labels);
  let right = 0;
  for (let i = 0; i < n; i++) if (predicted[i] === labels[i]) right++;
  return right / n;
}

/**
 * Share of samples whose label is among the k highest scores; of equal scores the lower class comes first.
 * With k >= classes it is 1.
 * @param scores [n, classes]
 */
export function topKAccuracy(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
  k: number,
): number {
  const n = rowCount("topKAccuracy", scores.length, classes);
  expect(
    n === labels.length && n > 0,
    () => `topKAccuracy: expected one label for each row of scores, got ${labels.length} for ${n}`,
  );
  let right = 0;
  for (let row = 0; row < n; row++) {
    const label = labels[row]!;
    expect(
      label >= 0 && label < classes,
      () => `topKAccuracy: label ${label} is outside 0..${classes - 1}; leave unlabelled samples out`,
    );
    const own = scores[row * classes + label]!;
    let ahead = 0;
    for (let c = 0; c < classes; c++) {
      const score = scores[row * classes + c]!;
      if (score > own || (score === own && c < label)) ahead++;
    }
    if (ahead < k && !Number.isNaN(own)) right++;
  }
  return right / n;
}

/** Counts by true class (row) and predicted class (column). */
export interface ConfusionMatrix {
  /** [classes, classes] */
  readonly counts: Int32Array;
  readonly size: number;
}

/** How often a sample of each class was taken for each class. */
export function confusionMatrix(
  predicted: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): ConfusionMatrix {
  const n = pairCount("confusionMatrix", predicted, labels);
  const counts = new Int32Array(classes * classes);
  for (let i = 0; i < n; i++) {
    const [p, label] = [predicted[i]!, labels[i]!];
    expect(
      p >= 0 && p < classes && label >= 0 && label < classes,
      () => `confusionMatrix: class ${label} taken for ${p}, expected both in 0..${classes - 1}`,
    );
    counts[label * classes + p]!++;
  }
  return { counts, size: classes };
}

/** Unweighted mean of F1 over the classes that occur among labels or predictions. */
export function macroF1(predicted: ArrayLike<number>, labels: ArrayLike<number>): number {
  const n = pairCount("macroF1", predicted, labels);
  const right = new Map<number, number>();
  const occurs = new Map<number, number>(); // in labels and predictions together
  const count = (map: Map<number, number>, key: number) => map.set(key, (map.get(key) ?? 0) + 1);
  for (let i = 0; i < n; i++) {
    count(occurs, predicted[i]!);
    count(occurs, labels[i]!);
    if (predicted[i] === labels[i]) count(right, labels[i]!);
  }
  let sum = 0;
  for (const [label, both] of occurs) sum += (2 * (right.get(label) ?? 0)) / both;
  return sum / occurs.size;
}

/**
 * Average precision of one class: the sum over falling thresholds of (recall gained) x precision, no interpolation.
 * Equal scores are one threshold. Zero where nothing is positive, as in scikit-learn.
 * @param targets 1 for positives, 0 for the rest
 */
export function averagePrecision(scores: ArrayLike<number>, targets: ArrayLike<number>): number {
  const n = pairCount("averagePrecision", scores, targets);
  const order = Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  let positives = 0;
  for (let i = 0; i < n; i++) {
    expect(!Number.isNaN(scores[i]!), () => `averagePrecision: score ${i} is NaN; check the model's output`);
    if (targets[i]! > 0) positives++;
  }
  if (positives === 0) return 0;
  let found = 0;
  let counted = 0;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    if (targets[order[i]!]! > 0) found++;
    const last = i === n - 1 || scores[order[i + 1]!] !== scores[order[i]!];
    if (!last) continue;
    sum += ((found - counted) / positives) * (found / (i + 1));
    counted = found;
  }
  return sum;
}

/**
 * Mean over classes of the average precision, for samples with several labels.
 * @param scores [n, classes]
 * @param targets [n, classes] of 0 and 1
 */
export function meanAveragePrecision(
  scores: ArrayLike<number>,
  targets: ArrayLike<number>,
  classes: number,
): number {
  const n = rowCount("meanAveragePrecision", scores.length, classes);
  expect(
    scores.length === targets.length,
    () =>
      `meanAveragePrecision: ${scores.length} scores but ${targets.length} targets; both are [n, classes]`,
  );
  const column = (values: ArrayLike<number>, c: number) =>
    Float64Array.from({ length: n }, (_, row) => values[row * classes + c]!);
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += averagePrecision(column(scores, c), column(targets, c));
  return sum / classes;
}

function pairCount(name: string, a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(
    a.length === b.length && a.length > 0,
    () => `${name}: expected two lists of equal length, at least 1, got ${a.length} and ${b.length}`,
  );
  return a.length;
}

function rowCount(name: string, size: number, classes: number): number {
  const rows = size / classes;
  expect(
    Number.isInteger(rows) && classes > 0,
    () => `${name}: ${size} scores are no whole number of rows of ${classes} classes`,
  );
  return rows;
}
