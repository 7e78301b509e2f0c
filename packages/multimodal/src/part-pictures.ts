/** What reconstructions of any modality are looked at as. */
import * as tf from "@tensorflow/tfjs";
import {
  addPatchStatistics,
  type Mask,
  maskedFlags,
  type ReconstructOptions,
  unpatchify,
} from "@unmask/core";

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

interface Normalised {
  /** The truth in the units the target was normalised in. [B, N, P] */
  readonly patches: tf.Tensor3D;
  /** [B * N]: 1 where a patch is hidden */
  readonly hidden: Float32Array;
  readonly grid: readonly number[];
  /** Statistics were taken out of each of these channels, as `normaliseChannels` does; else of a patch's values together. */
  readonly channels?: number;
}

/** Predictions at every place with mean and deviation put back, which do not show more than the model knows unless asked to. */
export function denormalised(
  prediction: tf.Tensor,
  { channels, ...places }: Normalised,
  { denormalise = "visible" }: ReconstructOptions = {},
): tf.Tensor3D {
  const form =
    channels === undefined
      ? {}
      : { groups: channels, deviation: (variance: tf.Tensor) => tf.add(tf.sqrt(variance), 1e-6) };
  return addPatchStatistics(prediction, { ...places, ...form, source: denormalise });
}

/** What goes under a picture of {@link denormalised} values, and of others. */
export const statisticsNote = (normalised: boolean, { denormalise }: ReconstructOptions = {}): string =>
  !normalised
    ? "predicted values"
    : denormalise === "truth"
      ? "mean and deviation of hidden patches taken from the truth"
      : "mean and deviation of hidden patches estimated from visible ones, from the truth where none is visible";
