/**
 * Support vector machine with a radial kernel: sequential minimal optimisation with second-order working sets (Fan, Chen,
 * Lin, JMLR 2005, the algorithm of LIBSVM and of scikit-learn's SVC), classes one against one.
 */

/** Squared distances of all pairs of rows, [n, n] */
export function squaredDistances(features: Float32Array, width: number): Float32Array {
  const n = features.length / width;
  const distances = new Float32Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let d = 0; d < width; d++) {
        const difference = features[i * width + d]! - features[j * width + d]!;
        sum += difference * difference;
      }
      distances[i * n + j] = distances[j * n + i] = sum;
    }
  return distances;
}

export interface SvmOptions {
  readonly C: number;
  /** Largest violation of the optimality conditions; 1e-3 when absent. */
  readonly tolerance?: number;
}

interface Machine {
  /** The class it says where its value is positive, and the other. */
  readonly classes: readonly [number, number];
  readonly rows: Int32Array;
  /** alpha * y of each row */
  readonly weights: Float64Array;
  readonly bias: number;
}

/**
 * Fits on some rows of a kernel matrix and predicts others.
 * @param kernel [n, n]
 * @returns the class of each row of `test`
 */
export function svmPredict(
  kernel: Float32Array,
  labels: Int32Array,
  train: Int32Array,
  test: Int32Array,
  options: SvmOptions,
): Int32Array {
  const n = labels.length;
  const classes = [...new Set(train.map((row) => labels[row]!))].sort((a, b) => a - b);
  const machines: Machine[] = [];
  for (const [i, first] of classes.entries())
    for (const second of classes.slice(i + 1)) {
      const rows = train.filter((row) => labels[row] === first || labels[row] === second);
      const signs = Float64Array.from(rows, (row) => (labels[row] === first ? 1 : -1));
      machines.push({ classes: [first, second], rows, ...solve(kernel, n, rows, signs, options) });
    }
  return test.map((row) => {
    const votes = new Map(classes.map((one) => [one, 0]));
    for (const machine of machines) {
      const value = machine.rows.reduce(
        (sum, other, i) =>
          sum + (machine.weights[i] === 0 ? 0 : machine.weights[i]! * kernel[row * n + other]!),
        machine.bias,
      );
      const won = machine.classes[value > 0 ? 0 : 1];
      votes.set(won, votes.get(won)! + 1);
    }
    return classes.reduce((best, one) => (votes.get(one)! > votes.get(best)! ? one : best), classes[0] ?? 0);
  });
}

const MOST_STEPS = 1_000_000;

function solve(
  kernel: Float32Array,
  n: number,
  rows: Int32Array,
  signs: Float64Array,
  { C, tolerance = 1e-3 }: SvmOptions,
): { weights: Float64Array; bias: number } {
  const count = rows.length;
  const alpha = new Float64Array(count);
  const gradient = new Float64Array(count).fill(-1);
  const rises = (t: number) => (signs[t]! > 0 ? alpha[t]! < C : alpha[t]! > 0);
  const falls = (t: number) => (signs[t]! > 0 ? alpha[t]! > 0 : alpha[t]! < C);
  const at = (i: number, j: number) => kernel[rows[i]! * n + rows[j]!]!;
  for (let step = 0; step < MOST_STEPS; step++) {
    let [i, highest] = [-1, Number.NEGATIVE_INFINITY];
    for (let t = 0; t < count; t++) {
      const value = -signs[t]! * gradient[t]!;
      if (value > highest && rises(t)) [i, highest] = [t, value];
    }
    let [j, lowest, gain] = [-1, Number.POSITIVE_INFINITY, 0];
    for (let t = 0; t < count && i >= 0; t++) {
      if (!falls(t)) continue;
      const value = -signs[t]! * gradient[t]!;
      lowest = Math.min(lowest, value);
      const difference = highest - value;
      if (difference <= 0) continue;
      const curvature = Math.max(at(i, i) + at(t, t) - 2 * at(i, t), 1e-12);
      const own = (difference * difference) / curvature;
      if (own > gain) [j, gain] = [t, own];
    }
    if (j < 0 || highest - lowest < tolerance) break;
    // Both move along y by the same amount, until the optimum or the edge of the box.
    const curvature = Math.max(at(i, i) + at(j, j) - 2 * at(i, j), 1e-12);
    const wanted = (-signs[i]! * gradient[i]! + signs[j]! * gradient[j]!) / curvature;
    const room = (t: number, direction: number) => (direction > 0 ? C - alpha[t]! : alpha[t]!);
    const move = Math.min(wanted, room(i, signs[i]!), room(j, -signs[j]!));
    alpha[i]! += signs[i]! * move;
    alpha[j]! -= signs[j]! * move;
    for (let t = 0; t < count; t++) gradient[t]! += signs[t]! * move * (at(i, t) - at(j, t));
  }
  return { weights: alpha.map((value, t) => value * signs[t]!), bias: biasOf(alpha, gradient, signs, C) };
}

/** The mean over free vectors, or the middle of what the bounded ones allow. */
function biasOf(alpha: Float64Array, gradient: Float64Array, signs: Float64Array, C: number): number {
  let [free, sum, low, high] = [0, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  alpha.forEach((value, t) => {
    const own = -signs[t]! * gradient[t]!;
    if (value > 0 && value < C) {
      free++;
      sum += own;
    } else if ((value === 0) === signs[t]! > 0) low = Math.max(low, own);
    else high = Math.min(high, own);
  });
  return free > 0 ? sum / free : (low + high) / 2;
}
