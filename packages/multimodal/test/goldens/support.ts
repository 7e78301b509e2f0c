/** What the adapters share. */
import * as tf from "@tensorflow/tfjs";
import { type RawTensor, toFloat32, trainable } from "@unmask/core";
import type { Values } from "@unmask/testing";

/** Recorded images, channels first, as ours: [B, C, H, W] -> [B, H, W, C] */
export const channelsLast = (raw: RawTensor) =>
  tf.transpose(tf.tensor<tf.Rank>(toFloat32(raw).slice(), [...raw.shape]), [0, 2, 3, 1]) as tf.Tensor4D;

/** Gradients of the total loss by path. */
export function gradientsOf(params: object, total: () => tf.Scalar): Map<string, Values> {
  const variables = trainable(params);
  const { grads } = tf.variableGrads(total, [...variables.values()]);
  return new Map([...variables].map(([path, variable]) => [path, grads[variable.name]!]));
}
