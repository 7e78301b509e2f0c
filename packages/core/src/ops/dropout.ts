/** Dropout whose draws are one seed: what is dropped is a function of the seed and the place, on every engine. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { kernel } from "./kernel.js";

/**
 * `UnmaskDropout`: y[i] = 0 where the hash of seed and i falls below the rate, x[i] / (1 - rate) elsewhere.
 * inputs x; attrs seed, rate; outputs [y].
 */
const dropoutKernel = kernel<{ x: tf.Tensor }, { seed: number; rate: number }>(
  "UnmaskDropout",
  ({ x }, { seed, rate }) => [tf.mul(x, tf.tensor(dropoutScale(x.size, rate, seed), x.shape))],
);

/**
 * Zeroes each value with probability `rate` and scales the others by 1 / (1 - rate), as PyTorch does in training.
 * @param seed of the draws, an integer below 2^32
 */
export function dropout<T extends tf.Tensor>(x: T, rate: number, seed: number): T {
  expect(rate >= 0 && rate < 1, `dropout: rate must be in [0, 1), got ${rate}`);
  if (rate === 0) return x;
  const run = (values: tf.Tensor) => dropoutKernel({ x: values }, { seed, rate })[0]!;
  return tf.customGrad((values) => ({
    value: run(values as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => run(dy),
  }))(x) as T;
}

/** What `dropout` multiplies each of `size` values by: 0 or 1 / (1 - rate). */
export function dropoutScale(size: number, rate: number, seed: number): Float32Array {
  const scale = new Float32Array(size);
  const [flip, offset] = [mix(seed), mix(seed + 0x9e3779b9)];
  const threshold = Math.round(rate * 2 ** 24);
  const kept = Math.fround(1 / (1 - rate));
  for (let i = 0; i < size; i++)
    if (mix(Math.imul(i ^ flip, 0x9e3779b1) + offset) >>> 8 >= threshold) scale[i] = kept;
  return scale;
}

/** murmur3's finaliser */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
