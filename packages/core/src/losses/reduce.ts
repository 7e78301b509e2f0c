import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { type Mask, maskedFlags } from "../masking/mask.js";

/**
 * Mean of per-token values over the masked tokens of the whole batch: sum(values * flags) / sum(flags).
 * @param values [B, N]
 * @param mask a mask, or one weight per token [B, N], not all of them 0
 */
export function maskedMean(values: tf.Tensor, mask: Mask | tf.Tensor): tf.Scalar {
  const shape = mask instanceof tf.Tensor ? mask.shape : [mask.batch, mask.tokens];
  expect(
    tf.util.arraysEqual(values.shape, shape),
    () => `maskedMean: values [${values.shape}] do not fit a mask [${shape}]; give one value for every token`,
  );
  if (mask instanceof tf.Tensor) return tf.div(tf.sum(tf.mul(values, mask)), tf.sum(mask));
  const flags = tf.tensor2d(maskedFlags(mask), [mask.batch, mask.tokens]);
  return tf.div(tf.sum(tf.mul(values, flags)), mask.masked.length);
}

/** Throws unless two tensors have the same shape. */
export function sameShape(name: string, a: tf.Tensor, b: tf.Tensor): void {
  expect(
    tf.util.arraysEqual(a.shape, b.shape),
    () => `${name}: shapes [${a.shape}] and [${b.shape}] differ; they must be the same`,
  );
}
