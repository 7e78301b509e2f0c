/** GELU, exact (erf) and tanh approximation, with the derivative computed in the forward pass. */
import * as tf from "@tensorflow/tfjs";
import { differentiable } from "./differentiable.js";
import { kernel } from "./kernel.js";

export type Activation = "none" | "gelu" | "gelu-tanh" | "relu";

/**
 * `UnmaskActivation`: y = f(x), slope = f'(x).
 * inputs x; attrs activation (not "none"); outputs [y, slope], both of x's shape.
 */
export const activationKernel = kernel<{ x: tf.Tensor }, { activation: Activation }>(
  "UnmaskActivation",
  ({ x }, { activation }) => {
    switch (activation) {
      case "gelu": {
        const phi = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5); // P(Z <= x)
        const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return [tf.mul(x, phi), tf.add(phi, tf.mul(x, density))];
      }
      case "gelu-tanh": {
        const c = Math.sqrt(2 / Math.PI);
        const x2 = tf.square(x);
        const t = tf.tanh(tf.mul(tf.mul(x, c), tf.add(tf.mul(x2, 0.044715), 1)));
        const half = tf.mul(tf.add(t, 1), 0.5);
        const inner = tf.mul(tf.add(tf.mul(x2, 3 * 0.044715), 1), c);
        const slope = tf.add(half, tf.mul(tf.mul(tf.mul(x, 0.5), tf.sub(1, tf.square(t))), inner));
        return [tf.mul(x, half), slope];
      }
      case "relu":
        return [tf.relu(x), tf.cast(tf.greater(x, 0), "float32")];
      case "none":
        return [x.clone(), tf.onesLike(x)];
    }
  },
);

/** x * P(Z <= x) for standard normal Z (Hendrycks & Gimpel, arXiv 1606.08415); `tanh` takes the approximation of that paper. */
export function gelu<T extends tf.Tensor>(x: T, form: "exact" | "tanh" = "exact"): T {
  const activation = form === "exact" ? "gelu" : "gelu-tanh";
  return differentiable({ x }, ({ x }) => {
    const [value, slope] = activationKernel({ x }, { activation });
    return { value: value!, saved: { slope }, gradient: (dy, { slope }) => ({ x: tf.mul(dy, slope!) }) };
  }) as T;
}
