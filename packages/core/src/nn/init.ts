/** Initial values, drawn on the host from a seeded generator. */
import * as tf from "@tensorflow/tfjs";
import type { Random } from "../random.js";

export type Initializer = (shape: readonly number[], random: Random) => tf.Tensor;

const draw = (shape: readonly number[], value: () => number) =>
  tf.tensor(Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, value), [...shape]);

export const zeros: Initializer = (shape) => tf.zeros([...shape]);

export const ones: Initializer = (shape) => tf.ones([...shape]);

/** Normal with the given deviation. */
export const normal =
  (deviation: number): Initializer =>
  (shape, random) =>
    draw(shape, () => deviation * random.normal());

/** Uniform in +-bound. */
export const uniform =
  (bound: number): Initializer =>
  (shape, random) =>
    draw(shape, () => bound * (2 * random.uniform() - 1));

/** Normal with the given deviation, redrawn until within +-limit (timm's and PyTorch's `trunc_normal_` default to 2). */
export const truncatedNormal =
  (deviation: number, limit = 2): Initializer =>
  (shape, random) =>
    draw(shape, () => {
      for (;;) {
        const value = deviation * random.normal();
        if (Math.abs(value) <= limit) return value;
      }
    });

/** Glorot & Bengio 2010: uniform in +-sqrt(6 / (fan in + fan out)); a kernel counts as the matrix [O, the rest]. */
export const xavierUniform: Initializer = (shape, random) => {
  const [out = 1, ...rest] = shape;
  const fanIn = rest.reduce((product, size) => product * size, 1);
  return uniform(Math.sqrt(6 / (fanIn + out)))(shape, random);
};
