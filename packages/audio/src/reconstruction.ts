/** From predicted patches to spectrograms that do not show more than the model knows. */
import * as tf from "@tensorflow/tfjs";
import {
  addPatchStatistics,
  type Mask,
  maskedFlags,
  patchGrid,
  type ReconstructOptions,
  unpatchify,
} from "@unmask/core";
import type { AudioInput } from "./batch.js";

/** Spectrograms [B, frames, bands, channels] of log energies. */
export interface AudioReconstruction {
  readonly original: tf.Tensor4D;
  /** The prediction at every place. */
  readonly reconstructed: tf.Tensor4D;
  /** The prediction at hidden places, the original elsewhere. */
  readonly combined: tf.Tensor4D;
  /** 1 where the model saw nothing: [B, frames, bands, channels] */
  readonly hidden: tf.Tensor4D;
  /** How frames and bands were made: axes in seconds and Hz, and sound, come from it. */
  readonly input: AudioInput;
  /** Which statistics turned normalised predictions into energies; goes under the picture. */
  readonly note: string;
}

interface Predicted {
  /** [B, N, P], as the model was given them. */
  readonly patches: tf.Tensor3D;
  /** [B, N, P] */
  readonly prediction: tf.Tensor3D;
  readonly mask: Mask;
  /** The prediction has each patch's mean and deviation taken out. */
  readonly normalised: boolean;
}

export function reconstruction(
  config: AudioInput & { readonly patchSize: readonly [number, number] },
  { patches, prediction, mask, normalised }: Predicted,
  { denormalise = "visible" }: ReconstructOptions = {},
): AudioReconstruction {
  const { inputSize, patchSize, mean, std } = config;
  const grid = patchGrid(inputSize, patchSize);
  const whole = (tokens: tf.Tensor) => unpatchify(tokens, grid, patchSize) as tf.Tensor4D;
  const energies = (tokens: tf.Tensor) => tf.add(tf.mul(whole(tokens), 2 * std), mean) as tf.Tensor4D;

  const masked = maskedFlags(mask);
  const flags = tf.tensor3d(masked, [mask.batch, mask.tokens, 1]);
  const hidden = tf.mul(tf.onesLike(patches), flags);
  const values = normalised
    ? addPatchStatistics(prediction, { patches, hidden: masked, grid, source: denormalise })
    : prediction;
  const { inputSize: size, channels, sampleRate, frameLength, frameShift, window } = config;
  const { lowFrequency, highFrequency } = config;
  const form = { inputSize: size, channels, sampleRate, frameLength, frameShift, window, lowFrequency };
  return {
    original: energies(patches),
    reconstructed: energies(values),
    combined: energies(tf.add(tf.mul(values, flags), tf.mul(patches, tf.sub(1, flags)))),
    hidden: whole(hidden),
    input: { ...form, highFrequency, mean, std },
    note: !normalised
      ? "predicted energies"
      : denormalise === "truth"
        ? "loudness and contrast of hidden patches taken from the truth"
        : "loudness and contrast of hidden patches estimated from visible ones",
  };
}
