/** From predictions of normalised targets back to values, without showing more than the model knows. */
import * as tf from "@tensorflow/tfjs";

/** Where the patches are and how mean and deviation were taken out of them. */
export interface PatchStatistics {
  /** The patches themselves. [B, N, P] */
  readonly patches: tf.Tensor3D;
  /** [B * N]: 1 where a patch is hidden, as `maskedFlags` gives it. */
  readonly hidden: Float32Array;
  /** Patches along each axis; their product is N. */
  readonly grid: readonly number[];
  /** How many statistics a patch has: 1, the default, or one for each channel. */
  readonly groups?: number;
  /** Values that the sum of squares is divided by: one less than there are by default, as `normaliseJoint` does. */
  readonly divisor?: number;
  /** Deviation of a variance; that of `normaliseJoint` by default. */
  readonly deviation?: (variance: tf.Tensor) => tf.Tensor;
  /** The true statistics of hidden patches, or an estimate from the visible ones near by; the truth where a sample has none. */
  readonly source: "visible" | "truth";
}

const jointDeviation = (variance: tf.Tensor): tf.Tensor => tf.sqrt(tf.add(variance, 1e-6));

/** Predictions at every place times deviation plus mean of each patch: [B, N, P] -> [B, N, P] */
export function addPatchStatistics(
  prediction: tf.Tensor,
  { patches, hidden, grid, groups = 1, divisor, deviation = jointDeviation, source }: PatchStatistics,
): tf.Tensor3D {
  const [batch, tokens, width] = patches.shape;
  const size = width / groups;
  const grouped = (x: tf.Tensor) => x.reshape([batch, tokens, size, groups]);
  const values = grouped(patches);
  const mean = tf.mean(values, 2); // [B, N, groups]
  const squares = tf.sum(tf.square(tf.sub(values, mean.expandDims(2))), 2);
  const std = deviation(tf.div(squares, divisor ?? size - 1));
  const near =
    source === "visible"
      ? tf.tensor3d(visibleWeights(hidden, grid, batch), [batch, tokens, tokens])
      : undefined;
  const known = (statistic: tf.Tensor) =>
    (near === undefined ? statistic : tf.matMul(near, statistic)).expandDims(2); // [B, N, 1, groups]
  return tf.add(tf.mul(grouped(prediction), known(std)), known(mean)).reshape(patches.shape);
}

/** [B, N, N]: a visible patch counts itself; a hidden one the visible patches by inverse fourth power of distance. */
function visibleWeights(hidden: Float32Array, grid: readonly number[], batch: number): Float32Array {
  const tokens = hidden.length / batch;
  const weights = new Float32Array(batch * tokens * tokens);
  for (let b = 0; b < batch; b++) {
    const flags = hidden.subarray(b * tokens, (b + 1) * tokens);
    const visible = Int32Array.from(flags.keys()).filter((i) => flags[i] === 0);
    for (let i = 0; i < tokens; i++) {
      const row = weights.subarray((b * tokens + i) * tokens, (b * tokens + i + 1) * tokens);
      if (flags[i] === 0 || visible.length === 0) {
        row[i] = 1;
        continue;
      }
      let sum = 0;
      for (const j of visible) sum += row[j] = squaredDistance(i, j, grid) ** -2;
      for (const j of visible) row[j]! /= sum;
    }
  }
  return weights;
}

function squaredDistance(i: number, j: number, grid: readonly number[]): number {
  let sum = 0;
  for (let axis = grid.length - 1; axis >= 0; axis--) {
    const extent = grid[axis]!;
    sum += ((i % extent) - (j % extent)) ** 2;
    i = Math.floor(i / extent);
    j = Math.floor(j / extent);
  }
  return sum;
}
