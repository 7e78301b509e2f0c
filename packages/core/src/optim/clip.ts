/** Clipping by the norm of all gradients together. */
import * as tf from "@tensorflow/tfjs";

const KERNEL = "UnmaskGradNorm";

/**
 * Euclidean norm of all gradients as one vector, a scalar the caller disposes.
 * `UnmaskGradNorm`: inputs g0..gn; output the norm.
 */
export function gradNorm(gradients: ReadonlyMap<string, tf.Tensor>): tf.Scalar {
  const tensors = [...gradients.values()];
  if (tf.getKernel(KERNEL, tf.getBackend()) !== undefined) {
    const inputs: tf.NamedTensorMap = {};
    tensors.forEach((tensor, i) => {
      inputs[`g${i}`] = tensor;
    });
    return tf.engine().runKernel(KERNEL, inputs, {}) as tf.Scalar;
  }
  return tf.tidy(() => {
    const squares = tensors.map((tensor) => tf.sum(tf.square(tensor)));
    return tf.sqrt(squares.length === 0 ? tf.scalar(0) : tf.addN(squares)).asScalar();
  });
}

/** What gradients of norm `norm` are multiplied by so that it is at most `limit`; PyTorch's formula. */
export function clipScale(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + 1e-6));
}
