/** Attention with linear biases (Press et al.): -slope * distance, in one and two dimensions. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";

/**
 * One slope per head: 2^(-8 (h+1) / heads) for a power of two; otherwise those of the power of two below,
 * followed by every other slope of the power of two above.
 */
export function alibiSlopes(heads: number): number[] {
  expect(Number.isInteger(heads) && heads > 0, `alibiSlopes: heads must be a positive integer, got ${heads}`);
  const geometric = (count: number) => Array.from({ length: count }, (_, h) => 2 ** ((-8 * (h + 1)) / count));
  const power = 2 ** Math.floor(Math.log2(heads));
  const between = geometric(2 * power).filter((_, h) => h % 2 === 0);
  return [...geometric(power), ...between.slice(0, heads - power)];
}

/**
 * Bias between all pairs of a sequence: -slope * |i - j|.
 * @returns [1, heads, length, length]
 */
export function alibi1d(heads: number, length: number): tf.Tensor4D {
  return biases(heads, length, (i, j) => Math.abs(i - j));
}

/**
 * Bias between all pairs of a grid [rows, columns], tokens row-major: -slope * Euclidean distance (CROMA).
 * @returns [1, heads, N, N]
 */
export function alibi2d(heads: number, grid: readonly [number, number]): tf.Tensor4D {
  const [rows, columns] = grid;
  return biases(heads, rows * columns, (i, j) =>
    Math.hypot(Math.floor(i / columns) - Math.floor(j / columns), (i % columns) - (j % columns)),
  );
}

function biases(heads: number, tokens: number, distance: (i: number, j: number) => number): tf.Tensor4D {
  const values = new Float32Array(heads * tokens * tokens);
  const slopes = alibiSlopes(heads);
  for (let i = 0; i < tokens; i++)
    for (let j = 0; j < tokens; j++) {
      const far = distance(i, j);
      for (let h = 0; h < heads; h++) values[(h * tokens + i) * tokens + j] = -slopes[h]! * far;
    }
  return tf.tensor4d(values, [1, heads, tokens, tokens]);
}
