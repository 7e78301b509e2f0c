/**
 * How papers on graph classification measure features: a support vector machine with a radial kernel in ten folds, its C
 * chosen inside each training part.
 */
import { createRandom, expect, type Random, type Spread, spread } from "@unmask/core";
import { squaredDistances, svmPredict } from "./svm.js";

export interface GraphFoldsOptions {
  /** 10 when absent. */
  readonly folds?: number;
  /** Of the folds; 0 when absent. */
  readonly seed?: number;
  /** What C is chosen from by 5 folds inside each training part; 1e-3, 1e-2, 0.1, 1 and 10 when absent. */
  readonly C?: readonly number[];
}

const INNER = 5;

/**
 * Accuracy over folds that keep the shares of the classes. The kernel's width is 1 / (features * their variance) of the
 * training part, scikit-learn's "scale".
 * @param features [graphs, width]
 */
export function graphFolds(
  features: Float32Array,
  labels: Int32Array,
  { folds = 10, seed = 0, C = [1e-3, 1e-2, 0.1, 1, 10] }: GraphFoldsOptions = {},
): Spread {
  const n = labels.length;
  const width = features.length / n;
  expect(
    Number.isInteger(width) && width > 0 && features.every(Number.isFinite),
    () => `graphFolds: ${features.length} features for ${n} graphs; give one finite row for each`,
  );
  expect(
    folds >= 2 && n >= folds && new Set(labels).size > 1,
    () =>
      `graphFolds: ${n} graphs of ${new Set(labels).size} classes in ${folds} folds; give more graphs, or fewer folds`,
  );
  const distances = squaredDistances(features, width);
  const foldOf = stratifiedFolds(labels, folds, createRandom(seed).child("folds"));
  const kernel = new Float32Array(n * n);
  const all = Int32Array.from({ length: n }, (_, i) => i);
  const accuracies = Array.from({ length: folds }, (_, fold) => {
    const train = all.filter((row) => foldOf[row] !== fold);
    const test = all.filter((row) => foldOf[row] === fold);
    const gamma = 1 / (width * Math.max(variance(features, width, train), 1e-12));
    for (let i = 0; i < kernel.length; i++) kernel[i] = Math.exp(-gamma * distances[i]!);
    const own = train.map((row) => labels[row]!);
    const inner = stratifiedFolds(own, INNER, createRandom(seed).child("inner", fold));
    const scores = C.map((c) => {
      let right = 0;
      for (let part = 0; part < INNER; part++) {
        const held = train.filter((_, i) => inner[i] === part);
        const kept = train.filter((_, i) => inner[i] !== part);
        right += correct(svmPredict(kernel, labels, kept, held, { C: c }), held, labels);
      }
      return right;
    });
    const best = C[scores.indexOf(Math.max(...scores))]!;
    return correct(svmPredict(kernel, labels, train, test, { C: best }), test, labels) / test.length;
  });
  return spread(accuracies);
}

const correct = (found: Int32Array, rows: Int32Array, labels: Int32Array) =>
  rows.reduce((sum, row, i) => sum + (labels[row] === found[i] ? 1 : 0), 0);

/** Fold of each row; every fold has as many of each class as the others, or one more. */
function stratifiedFolds(labels: Int32Array, folds: number, random: Random): Int32Array {
  const foldOf = new Int32Array(labels.length);
  let next = 0;
  for (const label of [...new Set(labels)].sort((a, b) => a - b)) {
    const rows = Array.from(labels.keys()).filter((row) => labels[row] === label);
    for (const i of random.permutation(rows.length)) foldOf[rows[i]!] = next++ % folds;
  }
  return foldOf;
}

function variance(features: Float32Array, width: number, rows: Int32Array): number {
  let [sum, squares] = [0, 0];
  for (const row of rows)
    for (let d = 0; d < width; d++) {
      const value = features[row * width + d]!;
      sum += value;
      squares += value * value;
    }
  const count = rows.length * width;
  return squares / count - (sum / count) ** 2;
}
