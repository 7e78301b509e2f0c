/** What the adapters of image methods share. */
import * as tf from "@tensorflow/tfjs";
import { type RawTensor, tensorOf, trainable } from "@unmask/core";
import type { Values } from "@unmask/testing";

/** Channels first to channels last. */
export const channelsLast = (raw: RawTensor) => tf.transpose(tensorOf(raw), [0, 2, 3, 1]) as tf.Tensor4D;

/** Gradients of the total loss by path. */
export function gradientsOf(params: object, total: () => tf.Scalar): Map<string, Values> {
  const variables = trainable(params);
  const { grads } = tf.variableGrads(total, [...variables.values()]);
  return new Map([...variables].map(([path, variable]) => [path, grads[variable.name]!]));
}
