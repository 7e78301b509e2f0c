/** Mean squared error of rows, the target's gradient only where it is asked for. */
import * as tf from "@tensorflow/tfjs";
import { differentiable } from "./differentiable.js";
import { kernel } from "./kernel.js";

/** `UnmaskSquaredError`: the mean of (x - target)^2 over the last axis. inputs x, target [..., D]; outputs [error [...]]. */
const squaredErrorKernel = kernel<{ x: tf.Tensor; target: tf.Tensor }, object>(
  "UnmaskSquaredError",
  ({ x, target }) => [tf.mean(tf.square(tf.sub(x, target)), -1)],
);

/** `UnmaskSquaredErrorGrad`: inputs dy [...], x, target [..., D]; outputs [dx [..., D]]; that of the target is -dx. */
const squaredErrorGradKernel = kernel<{ dy: tf.Tensor; x: tf.Tensor; target: tf.Tensor }, object>(
  "UnmaskSquaredErrorGrad",
  ({ dy, x, target }) => {
    const factor = tf.mul(dy, 2 / x.shape[x.rank - 1]!).expandDims(-1);
    return [tf.mul(tf.sub(x, target), factor)];
  },
);

/**
 * @param x [..., D]
 * @param target [..., D]
 * @returns [...]
 */
export function squaredError(x: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return differentiable({ x, target }, ({ x, target }) => ({
    value: squaredErrorKernel({ x, target }, {})[0]!,
    saved: { x, target },
    gradient: (dy, { x, target }) => {
      const dx = () => squaredErrorGradKernel({ dy, x: x!, target: target! }, {})[0]!;
      return { x: dx, target: () => tf.neg(dx()) };
    },
  }));
}
