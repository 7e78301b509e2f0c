/** What reconstructions of any modality are looked at as. */
import * as tf from "@tensorflow/tfjs";
import { type Mask, maskedFlags, unpatchify } from "@unmask/core";

/** One modality, [B, ...size, channels]. */
export interface PartPictures {
  readonly original: tf.Tensor;
  /** What the encoder did not see is 0.5. */
  readonly masked: tf.Tensor;
  /** The prediction at hidden places, the original elsewhere. */
  readonly combined: tf.Tensor;
}

export interface MultimodalReconstruction {
  readonly parts: Readonly<Record<string, PartPictures>>;
  /** How predictions became values; goes under the picture. */
  readonly note: string;
}

/**
 * Puts patches together, the hidden ones gray and then as predicted.
 * @param patches [B, N, P * C] the truth, channel fastest
 * @param prediction the same in the same units
 * @param mask a mask, or 1 at each hidden token and 0 elsewhere [B, N, 1]
 */
export function partPictures(
  patches: tf.Tensor,
  prediction: tf.Tensor,
  mask: Mask | tf.Tensor,
  grid: readonly number[],
  patch: readonly number[],
): PartPictures {
  const hidden =
    mask instanceof tf.Tensor ? mask : tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]);
  const visible = tf.sub(1, hidden);
  const shown = tf.mul(patches, visible);
  const together = (tokens: tf.Tensor) => unpatchify(tokens, grid, patch);
  return {
    original: together(patches),
    masked: together(tf.add(shown, tf.mul(hidden, 0.5))),
    combined: together(tf.add(shown, tf.mul(prediction, hidden))),
  };
}

/**
 * Normalised predictions with each patch's own mean and deviation put back: more than a model knows, and said so under
 * the picture.
 */
export function withTrueStatistics(prediction: tf.Tensor, patches: tf.Tensor): tf.Tensor {
  const size = patches.shape.at(-1)!;
  const { mean, variance } = tf.moments(patches, -1, true);
  return tf.add(tf.mul(prediction, tf.sqrt(tf.add(tf.mul(variance, size / (size - 1)), 1e-6))), mean);
}
