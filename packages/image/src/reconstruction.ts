/** From predicted patches to pictures that do not show more than the model knows. */
import * as tf from "@tensorflow/tfjs";
import {
  addPatchStatistics,
  channelStatistics,
  type Mask,
  maskedFlags,
  patchGrid,
  type ReconstructOptions,
  unpatchify,
} from "@unmask/core";
import type { ImageInput } from "./batch.js";

/** Pictures [B, H, W, C] in units of the pixel range, 0 black and 1 white. */
export interface ImageReconstruction {
  readonly original: tf.Tensor4D;
  /** Hidden patches gray. */
  readonly masked: tf.Tensor4D;
  /** The prediction at every place. */
  readonly reconstructed: tf.Tensor4D;
  /** The prediction at hidden places, the original elsewhere. */
  readonly combined: tf.Tensor4D;
  /** Which statistics turned normalised predictions into pixels; goes under the picture. */
  readonly note: string;
}

interface Predicted {
  /** [B, N, P], in the units the model was given. */
  readonly patches: tf.Tensor3D;
  /** [B, N, P] */
  readonly prediction: tf.Tensor3D;
  readonly mask: Mask;
  /** The prediction has mean and deviation taken out: of each patch, or of each channel of each patch ("channels"). */
  readonly normalised: boolean | "channels";
}

export function reconstruction(
  config: ImageInput & { readonly patchSize: readonly [number, number] },
  { patches, prediction, mask, normalised }: Predicted,
  { denormalise = "visible" }: ReconstructOptions = {},
): ImageReconstruction {
  const grid = patchGrid(config.imageSize, config.patchSize);
  const { mean, std } = channelStatistics(config);
  const picture = (tokens: tf.Tensor3D) =>
    tf.add(
      tf.mul(unpatchify(tokens, grid, config.patchSize), tf.tensor1d(std)),
      tf.tensor1d(mean),
    ) as tf.Tensor4D;

  const flags = maskedFlags(mask);
  const hidden = tf.tensor3d(flags, [mask.batch, mask.tokens, 1]);
  const mix = (atHidden: tf.Tensor, elsewhere: tf.Tensor) =>
    tf.add(tf.mul(atHidden, hidden), tf.mul(elsewhere, tf.sub(1, hidden))) as tf.Tensor3D;

  const size = patches.shape[2] / config.channels;
  const form =
    normalised === "channels" // as BootMAE takes them out
      ? { groups: config.channels, divisor: size, deviation: (v: tf.Tensor) => tf.sqrt(tf.add(v, 1e-5)) }
      : {};
  const values = normalised
    ? addPatchStatistics(prediction, { patches, hidden: flags, grid, source: denormalise, ...form })
    : prediction;
  const gray = tf.fill(config.imageSize.concat(config.channels) as number[], 0.5);
  const shown = unpatchify(
    tf.tile(tf.sub(1, hidden), [1, 1, patches.shape[2]]) as tf.Tensor3D,
    grid,
    config.patchSize,
  );
  const original = picture(patches);
  return {
    original,
    masked: tf.add(tf.mul(original, shown), tf.mul(gray, tf.sub(1, shown))) as tf.Tensor4D,
    reconstructed: picture(values),
    combined: picture(mix(values, patches)),
    note: !normalised
      ? "predicted pixels"
      : denormalise === "truth"
        ? "brightness and contrast of hidden patches taken from the truth"
        : "brightness and contrast of hidden patches estimated from visible ones",
  };
}
