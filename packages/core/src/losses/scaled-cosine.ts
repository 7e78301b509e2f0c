import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { tokenCosine } from "./cosine.js";

export interface ScaledCosineOptions {
  /** Exponent, at least 1; larger ones weigh easy tokens less. GraphMAE uses 1 to 3. */
  readonly gamma: number;
}

/** (1 - cosine)^gamma of every token. [..., D] -> [...] */
export function tokenScaledCosine(
  prediction: tf.Tensor,
  target: tf.Tensor,
  { gamma }: ScaledCosineOptions,
): tf.Tensor {
  expect(gamma >= 1, `scaledCosine: gamma must be 1 or more, got ${gamma}`);
  // Rounding can put a cosine above 1, which no fractional power takes.
  return tf.pow(tf.relu(tokenCosine(prediction, target)), gamma);
}

/** Scaled cosine error of GraphMAE: the mean of (1 - cosine)^gamma. */
export function scaledCosine(
  prediction: tf.Tensor,
  target: tf.Tensor,
  options: ScaledCosineOptions,
): tf.Scalar {
  return tf.mean(tokenScaledCosine(prediction, target, options));
}
