/**
 * Buffers that a loss moves on its way: running statistics, queues of past features. A loss stays a pure function: it says
 * what its buffers will be, and the training step, once it has the gradients, makes them so. Whoever else computes the
 * loss changes nothing.
 */
import * as tf from "@tensorflow/tfjs";

let collecting: Map<tf.Variable, tf.Tensor> | undefined;

/**
 * Says the value that `buffer` takes after this part of the step.
 * @param value of the buffer's shape and type; computed only where somebody collects it
 */
export function updateBuffer(buffer: tf.Variable, value: () => tf.Tensor): void {
  if (collecting === undefined) return;
  const next = tf.keep(tf.tidy(value));
  collecting.get(buffer)?.dispose();
  collecting.set(buffer, next);
}

/** What a buffer will be after the updates said so far; the buffer itself where there is none. Borrowed. */
export function pendingBuffer(buffer: tf.Variable): tf.Tensor {
  return collecting?.get(buffer) ?? buffer;
}

/** Runs `body`, then gives every buffer the value that it said. */
export function applyBufferUpdates<T>(body: () => T): T {
  const outer = collecting;
  const updates = new Map<tf.Variable, tf.Tensor>();
  collecting = updates;
  try {
    const result = body();
    for (const [buffer, value] of updates) buffer.assign(value);
    return result;
  } finally {
    collecting = outer;
    for (const value of updates.values()) value.dispose();
  }
}
