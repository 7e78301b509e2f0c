/** Scopes over results of any shape; tfjs's own `tidy` walks into typed arrays element by element. */
import * as tf from "@tensorflow/tfjs";

/** Runs `f` and disposes every tensor it made, except those found in its result (at any depth of plain objects and arrays). */
export function tidy<T>(f: () => T): T {
  const engine = tf.engine();
  engine.startScope();
  let kept: tf.Tensor[] = [];
  try {
    const result = f();
    kept = tensorsOf(result);
    return result;
  } finally {
    engine.endScope(kept);
  }
}

/**
 * Computes what is data to the loss around it: nothing is recorded for gradients, so whatever `compute` makes on its way
 * goes at once. No gradient passes.
 */
export function constant<T extends tf.Tensor>(compute: () => T): T {
  const op = tf.customGrad(() => ({ value: compute(), gradFunc: () => [] as tf.Tensor[] }));
  return op() as T;
}

/** Disposes every tensor in a value, at any depth of plain objects and arrays. */
export function disposeAll(value: unknown): void {
  for (const tensor of tensorsOf(value)) tensor.dispose();
}

function tensorsOf(value: unknown): tf.Tensor[] {
  if (value instanceof tf.Tensor) return [value];
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return [];
  return Object.values(value).flatMap(tensorsOf);
}
