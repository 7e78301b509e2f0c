/** Finite-difference check of gradients, for the library's own operations and for yours. */
import * as tf from "@tensorflow/tfjs";
import type { Random } from "../random.js";

export interface GradientCheck {
  /** Largest |numeric - analytic| over the directions tried, relative to the largest |analytic| or 1e-3. */
  readonly error: number;
  readonly directions: readonly { readonly analytic: number; readonly numeric: number }[];
}

/**
 * Compares the gradient of a scalar function with central differences along random directions of every input.
 * @param f scalar function of the inputs
 * @param inputs float32 tensors; borrowed
 * @param options.step half-width of the difference; float32 rounding sets a floor of about 1e-7 / step
 */
export function gradientCheck(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: readonly tf.Tensor[],
  random: Random,
  { step = 1e-2, directions = 3 }: { step?: number; directions?: number } = {},
): GradientCheck {
  return tf.tidy(() => {
    const gradients = tf.grads((...xs: tf.Tensor[]) => f(...xs).asScalar())([...inputs]);
    const scalar = (xs: tf.Tensor[]) => f(...xs).dataSync()[0]!;
    const tried: { analytic: number; numeric: number }[] = [];
    inputs.forEach((input, i) => {
      for (let d = 0; d < directions; d++) {
        const direction = tf.tensor(random.normals(input.size), input.shape);
        const moved = (sign: number) =>
          inputs.map((x, j) => (j === i ? tf.add(x, tf.mul(direction, sign * step)) : x));
        const numeric = (scalar(moved(1)) - scalar(moved(-1))) / (2 * step);
        tried.push({ analytic: tf.sum(tf.mul(gradients[i]!, direction)).dataSync()[0]!, numeric });
      }
    });
    const scale = Math.max(1e-3, ...tried.map((t) => Math.abs(t.analytic)));
    const error = Math.max(...tried.map((t) => Math.abs(t.numeric - t.analytic))) / scale;
    return { error, directions: tried };
  });
}
