/**
 * Multinomial logistic regression on frozen features, the plain linear probe. The objective is scikit-learn's:
 *
 *   C sum_i -log softmax(W x_i + b)_{y_i} + |W|^2 / 2
 *
 * (divided by C n; with two classes, one weight vector for the second class's log-odds), minimised by L-BFGS over the
 * whole set. Products run on the engine in float32; losses and sums of the optimiser on the host in float64.
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { createRandom } from "../random.js";
import { classificationTask, type FeatureRows, type LabelledRows } from "./labelled.js";
import { type Evaluated, type Minimum, minimise } from "./lbfgs.js";
import { rowProducts } from "./row-products.js";
import { type Scores, scoresOf } from "./scores.js";
import { stratifiedSplit } from "./split.js";
import { columnStatistics, standardise } from "./standardise.js";

export interface LogisticOptions {
  /** Inverse strength of the penalty; 1 when absent. Of several, the best on a part of train held out is taken. */
  readonly C?: number | readonly number[];
  /** Scales columns to mean 0 and deviation 1 first; true when absent. */
  readonly standardise?: boolean;
  /** Share of train held out to choose C; 0.1 when absent. */
  readonly validation?: number;
  /** Of the held-out share; 0 when absent. */
  readonly seed?: number;
  readonly maxIterations?: number;
  /** Converged when no entry of the mean objective's gradient is larger; 1e-6 when absent. */
  readonly tolerance?: number;
  readonly onIteration?: (state: { C: number; iteration: number; loss: number; gradient: number }) => void;
}

export interface LogisticScores extends Scores {
  readonly C: number;
  /** Accuracy on the held-out part, for each C that was tried. */
  readonly tried: readonly { readonly C: number; readonly top1: number }[];
  readonly iterations: number;
  readonly converged: boolean;
  /** Class probabilities of the labelled test rows, [n, classes]. */
  readonly probabilities: Float64Array;
}

/** Fits on train to convergence and scores on test. The result depends on a seed only where C is chosen. */
export async function logisticRegression(
  train: FeatureRows,
  test: FeatureRows,
  options: LogisticOptions = {},
): Promise<LogisticScores> {
  const { C = 1, standardise: scale = true, validation = 0.1, seed = 0 } = options;
  const candidates = (typeof C === "number" ? [C] : [...C]).sort((a, b) => a - b);
  expect(
    candidates.length > 0 && candidates.every((c) => c > 0 && Number.isFinite(c)),
    `logisticRegression: C must be positive, got [${C}]`,
  );
  const task = classificationTask("logisticRegression", train, test);
  const classes = task.classes.length;
  const { width } = task;
  const statistics = scale ? columnStatistics(task.train.features, width) : undefined;
  const scaled = (rows: LabelledRows): LabelledRows =>
    statistics === undefined ? rows : { ...rows, features: standardise(rows.features, statistics) };
  const [fitOn, scoreOn] = [scaled(task.train), scaled(task.test)];

  const tried: { C: number; top1: number }[] = [];
  if (candidates.length > 1) {
    const split = stratifiedSplit(fitOn.labels, validation, createRandom(seed).child("validation"));
    const [part, held] = [take(fitOn, split.train, width), take(fitOn, split.held, width)];
    await fit(part, width, classes, candidates, options, async (c, { x }) => {
      const probabilities = await probabilitiesOf(held, width, classes, x);
      tried.push({
        C: c,
        top1: scoresOf("logisticRegression", probabilities, held.labels, task.classes).top1,
      });
    });
  }
  const best = tried.reduce((a, b) => (b.top1 > a.top1 ? b : a), tried[0] ?? { C: candidates[0]!, top1: 0 });
  const { x, iterations, converged } = await fit(fitOn, width, classes, [best.C], options);
  const probabilities = await probabilitiesOf(scoreOn, width, classes, x);
  const scores = scoresOf("logisticRegression", probabilities, scoreOn.labels, task.classes);
  return { ...scores, C: best.C, tried, iterations, converged, probabilities };
}

/** Fits one C after the other, each from where the last ended; returns the last. */
async function fit(
  rows: LabelledRows,
  width: number,
  classes: number,
  candidates: readonly number[],
  { maxIterations = 1000, tolerance = 1e-6, onIteration }: LogisticOptions,
  onFitted?: (C: number, minimum: Minimum) => Promise<void>,
): Promise<Minimum> {
  const blocks = uploadRows(rows, width, classes);
  let minimum: Minimum | undefined;
  try {
    for (const C of candidates) {
      minimum = await minimise(
        (x) => objective(blocks, rows, width, classes, C, x),
        minimum?.x ?? new Float64Array(outputs(classes) * (width + 1)),
        {
          maxIterations,
          tolerance,
          rounding: 1e-7, // scores are float32
          onIteration: (state) => onIteration?.({ C, ...state, loss: state.value }),
        },
      );
      await onFitted?.(C, minimum);
    }
  } finally {
    for (const { tensor } of blocks) tensor.dispose();
  }
  return minimum!;
}

/** Weight vectors that are fitted: with two classes only the second's, the first's being zero. */
const outputs = (classes: number) => (classes === 2 ? 1 : classes);

interface Block {
  readonly start: number;
  readonly count: number;
  readonly tensor: tf.Tensor2D;
}

/** Floats of features or scores in one block: 16 MiB. */
const BLOCK = 2 ** 22;

function uploadRows({ features, count }: LabelledRows, width: number, classes: number): Block[] {
  const step = Math.max(1, Math.floor(BLOCK / Math.max(width, classes)));
  const blocks: Block[] = [];
  for (let start = 0; start < count; start += step) {
    const rows = Math.min(step, count - start);
    const values = features.subarray(start * width, (start + rows) * width);
    blocks.push({ start, count: rows, tensor: tf.tensor2d(values, [rows, width]) });
  }
  return blocks;
}

/** Mean objective and gradient at x = [W, b], W [outputs, width] and b [outputs]. */
async function objective(
  blocks: readonly Block[],
  { labels, count }: LabelledRows,
  width: number,
  classes: number,
  C: number,
  x: Float64Array,
): Promise<Evaluated> {
  const m = outputs(classes);
  const bias = x.subarray(m * width);
  const gradient = new Float64Array(x.length);
  const weight = tf.tensor2d(Float32Array.from(x.subarray(0, m * width)), [m, width]);
  let value = 0;
  for (const { start, count: rows, tensor } of blocks) {
    const product = tf.matMul(tensor, weight, false, true); // [rows, m]
    const logits = (await product.data()) as Float32Array;
    product.dispose();
    const residual = new Float32Array(rows * m);
    const scores = new Float64Array(classes);
    for (let row = 0; row < rows; row++) {
      const label = labels[start + row]!;
      value -= Math.log(softmax(logits, row * m, bias, scores)[label]!);
      for (let j = 0; j < m; j++) {
        const c = classes - m + j;
        const error = scores[c]! - (c === label ? 1 : 0);
        residual[row * m + j] = error;
        gradient[m * width + j]! += error / count;
      }
    }
    const part = tf.tidy(() => tf.matMul(tf.tensor2d(residual, [rows, m]), tensor, true)); // [m, width]
    const sums = (await part.data()) as Float32Array;
    part.dispose();
    for (let i = 0; i < sums.length; i++) gradient[i]! += sums[i]! / count;
  }
  weight.dispose();
  value /= count;
  const penalty = 1 / (C * count);
  for (let i = 0; i < m * width; i++) {
    value += (penalty * x[i]! ** 2) / 2;
    gradient[i]! += penalty * x[i]!;
  }
  return { value, gradient };
}

/** Writes class probabilities into `scores`; never zero, so that their logarithm is finite. */
function softmax(
  logits: Float32Array,
  offset: number,
  bias: Float64Array,
  scores: Float64Array,
): Float64Array {
  const first = scores.length - bias.length;
  scores[0] = 0;
  let most = first === 0 ? -Infinity : 0;
  for (let j = 0; j < bias.length; j++) {
    const score = logits[offset + j]! + bias[j]!;
    scores[first + j] = score;
    if (score > most) most = score;
  }
  let sum = 0;
  for (let c = 0; c < scores.length; c++) sum += scores[c] = Math.exp(scores[c]! - most);
  for (let c = 0; c < scores.length; c++) scores[c] = Math.max(scores[c]! / sum, Number.MIN_VALUE);
  return scores;
}

async function probabilitiesOf(
  { features, count }: LabelledRows,
  width: number,
  classes: number,
  x: Float64Array,
): Promise<Float64Array> {
  const m = outputs(classes);
  const probabilities = new Float64Array(count * classes);
  const weight = Float32Array.from(x.subarray(0, m * width));
  for await (const { start, rows, products } of rowProducts(features, weight, width))
    for (let row = 0; row < rows; row++) {
      const at = (start + row) * classes;
      softmax(products, row * m, x.subarray(m * width), probabilities.subarray(at, at + classes));
    }
  return probabilities;
}

function take({ features, labels }: LabelledRows, rows: Int32Array, width: number): LabelledRows {
  const taken = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    taken.set(features.subarray(row * width, (row + 1) * width), i * width);
  });
  return { features: taken, labels: rows.map((row) => labels[row]!), count: rows.length };
}
