/**
 * Linear support vector machine on frozen features, one class against the rest. The objective of each is that of
 * scikit-learn's LinearSVC:
 *
 *   |w|^2 / 2 + C sum_i max(0, 1 - y_i w [x_i, 1])^2
 *
 * minimised by coordinate descent in the dual (Hsieh et al., ICML 2008, as LIBLINEAR does it), in float64 on the host. The
 * bias is the weight of a constant feature and is penalised like any other.
 */
import { expect } from "../errors.js";
import { createRandom, type Random } from "../random.js";
import { classificationTask, type FeatureRows, type LabelledRows } from "./labelled.js";
import { type Scores, scoresOf } from "./scores.js";
import { columnStatistics, standardise } from "./standardise.js";

export interface SvmOptions {
  /** Weight of the errors against the penalty; 1 when absent. */
  readonly C?: number;
  /** Scales columns to mean 0 and deviation 1 first; true when absent. */
  readonly standardise?: boolean;
  /** Converged when projected gradients span no more than this; 1e-4 when absent. */
  readonly tolerance?: number;
  /** Passes over the samples at most, for each class; 1000 when absent. */
  readonly maxIterations?: number;
  /** Of the order in which coordinates are visited; 0 when absent. */
  readonly seed?: number;
}

export interface SvmScores extends Scores {
  /** Whether every class's problem was solved to the tolerance. */
  readonly converged: boolean;
  /** Signed distances of the labelled test rows, up to the length of w: [n, classes]. */
  readonly decisions: Float64Array;
}

/** Fits on train to convergence and scores on test; the class of largest decision value is predicted. */
export function linearSvm(train: FeatureRows, test: FeatureRows, options: SvmOptions = {}): SvmScores {
  const { C = 1, standardise: scale = true, tolerance = 1e-4, maxIterations = 1000, seed = 0 } = options;
  expect(C > 0 && Number.isFinite(C), `linearSvm: C must be positive, got ${C}`);
  expect(tolerance > 0, `linearSvm: tolerance must be positive, got ${tolerance}`);
  const task = classificationTask("linearSvm", train, test);
  const { width, classes } = task;
  const statistics = scale ? columnStatistics(task.train.features, width) : undefined;
  const rowsOf = ({ features }: LabelledRows) =>
    withOnes(statistics ? standardise(features, statistics) : features, width);
  const [x, queries] = [rowsOf(task.train), rowsOf(task.test)];
  const decisions = new Float64Array(task.test.count * classes.length);
  let converged = true;
  for (let label = 0; label < classes.length; label++) {
    const signs = Float64Array.from(task.train.labels, (own) => (own === label ? 1 : -1));
    const random = createRandom(seed).child("svm", label);
    const solved = solve(x, signs, width + 1, { C, tolerance, maxIterations, random });
    converged &&= solved.converged;
    for (let row = 0; row < task.test.count; row++)
      decisions[row * classes.length + label] = product(solved.weights, queries, row * (width + 1));
  }
  return { ...scoresOf("linearSvm", decisions, task.test.labels, classes), converged, decisions };
}

interface Problem {
  readonly C: number;
  readonly tolerance: number;
  readonly maxIterations: number;
  readonly random: Random;
}

/** Algorithm 3 of the paper for the squared hinge, without shrinking. */
function solve(x: Float64Array, signs: Float64Array, width: number, problem: Problem) {
  const { C, tolerance, maxIterations, random } = problem;
  const count = signs.length;
  const weights = new Float64Array(width);
  const alpha = new Float64Array(count);
  const ridge = 1 / (2 * C);
  const diagonal = Float64Array.from({ length: count }, (_, i) => {
    let sum = ridge;
    for (let j = 0; j < width; j++) sum += x[i * width + j]! ** 2;
    return sum;
  });
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    let [most, least] = [-Infinity, Infinity];
    for (const i of random.permutation(count)) {
      const sign = signs[i]!;
      const gradient = sign * product(weights, x, i * width) - 1 + ridge * alpha[i]!;
      const projected = alpha[i] === 0 ? Math.min(gradient, 0) : gradient;
      most = Math.max(most, projected);
      least = Math.min(least, projected);
      if (projected === 0) continue;
      const next = Math.max(alpha[i]! - gradient / diagonal[i]!, 0);
      const change = (next - alpha[i]!) * sign;
      alpha[i] = next;
      for (let j = 0; j < width; j++) weights[j]! += change * x[i * width + j]!;
    }
    if (most - least < tolerance) return { weights, converged: true };
  }
  return { weights, converged: false };
}

function product(weights: Float64Array, x: Float64Array, start: number): number {
  let sum = 0;
  for (let j = 0; j < weights.length; j++) sum += weights[j]! * x[start + j]!;
  return sum;
}

/** Rows with a constant feature at their end: [n, width] -> [n, width + 1] */
function withOnes(rows: Float32Array, width: number): Float64Array {
  const count = rows.length / width;
  const wider = new Float64Array(count * (width + 1)).fill(1);
  for (let i = 0; i < count; i++)
    for (let j = 0; j < width; j++) wider[i * (width + 1) + j] = rows[i * width + j]!;
  return wider;
}
