/** What the adapters of video methods share. */
import * as tf from "@tensorflow/tfjs";
import { type Mask, maskFromFlags, type RawTensor, toFloat32, trainable } from "@unmask/core";
import type { Values } from "@unmask/testing";

/** Recorded clips as ours: [B, C, T, H, W] -> [B, T, H, W, C] */
export const channelsLast = (raw: RawTensor): tf.Tensor5D =>
  tf.transpose(
    tf.tensor5d(toFloat32(raw).slice(), raw.shape as [number, number, number, number, number]),
    [0, 2, 3, 4, 1],
  );

/** A recorded mask [B, N], 1 where a token is hidden. */
export const recordedMask = (raw: RawTensor): Mask => maskFromFlags(toFloat32(raw), raw.shape[0]!);

/** Gradients of the total loss by path. */
export function gradientsOf(params: object, total: () => tf.Scalar): Map<string, Values> {
  const variables = trainable(params);
  const { grads } = tf.variableGrads(total, [...variables.values()]);
  return new Map([...variables].map(([path, variable]) => [path, grads[variable.name]!]));
}
