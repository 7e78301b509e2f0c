/** From predicted cubes to clips that do not show more than the model knows. */
import * as tf from "@tensorflow/tfjs";
import {
  addPatchStatistics,
  channelStatistics,
  type Mask,
  maskedFlags,
  normaliseChannels,
  type ReconstructOptions,
  restoreRows,
  unpatchify,
} from "@unmask/core";
import { type CubeConfig, cubeGrid, cubeOf, type VideoInput } from "./batch.js";

/** Clips [B, frames, H, W, C] in units of the pixel range, 0 black and 1 white. */
export interface VideoReconstruction {
  readonly original: tf.Tensor5D;
  /** Hidden cubes gray. */
  readonly masked: tf.Tensor5D;
  /** The prediction at hidden places, the original elsewhere. */
  readonly reconstructed: tf.Tensor5D;
  /** Which statistics turned normalised predictions into pixels; goes under the picture. */
  readonly note: string;
}

interface TargetConfig extends VideoInput, CubeConfig {
  /** The prediction has the mean and deviation of each cube and channel taken out. */
  readonly normalisePixels: boolean;
  /** Statistics are those of all channels of a cube together, as MAE's, instead of each channel's. */
  readonly together?: boolean;
}

/** What is predicted of cubes [B, M, P] as the encoder gets them: pixels 0 to 1, or those with cubes' statistics taken out. */
export function cubeTarget(config: TargetConfig, cubes: tf.Tensor3D): tf.Tensor3D {
  const pixels = cubePixels(config, cubes);
  return config.normalisePixels ? (normaliseChannels(pixels, config.channels) as tf.Tensor3D) : pixels;
}

/** The data set's mean and deviation undone: [B, M, P], white being 1. */
export function cubePixels(config: VideoInput & CubeConfig, cubes: tf.Tensor3D): tf.Tensor3D {
  const { mean, std } = channelStatistics(config);
  const repeat = (values: readonly number[]) =>
    tf.tensor1d(values as number[]).tile([cubes.shape[2] / config.channels]);
  return tf.add(tf.mul(cubes, repeat(std)), repeat(mean));
}

interface Predicted {
  /** [B, N, P], as the encoder gets them. */
  readonly cubes: tf.Tensor3D;
  /** [B, N - K, P], in the order of `mask.masked`. */
  readonly prediction: tf.Tensor3D;
  readonly mask: Mask;
}

export function videoReconstruction(
  config: TargetConfig,
  { cubes, prediction, mask }: Predicted,
  { denormalise = "visible" }: ReconstructOptions = {},
): VideoReconstruction {
  const grid = cubeGrid("video reconstruction", config);
  const pixels = cubePixels(config, cubes);
  const flags = maskedFlags(mask);
  const hidden = tf.tensor3d(flags, [mask.batch, mask.tokens, 1]);
  const mix = (atHidden: tf.Tensor, elsewhere: tf.Tensor) =>
    tf.add(tf.mul(atHidden, hidden), tf.mul(elsewhere, tf.sub(1, hidden))) as tf.Tensor3D;
  const clip = (tokens: tf.Tensor3D) => unpatchify(tokens, grid, cubeOf(config)) as tf.Tensor5D;

  const placed = restoreRows(prediction, tf.zeros([prediction.shape[2]]), swapped(mask)); // [B, N, P]
  const values = config.normalisePixels
    ? addPatchStatistics(placed, {
        patches: pixels,
        hidden: flags,
        grid,
        source: denormalise,
        ...formOf(config),
      })
    : placed;
  return {
    original: clip(pixels),
    masked: clip(mix(tf.scalar(0.5), pixels)),
    reconstructed: clip(mix(values, pixels)),
    note: !config.normalisePixels
      ? "predicted pixels"
      : denormalise === "truth"
        ? "brightness and contrast of hidden cubes taken from the truth"
        : "brightness and contrast of hidden cubes estimated from visible ones",
  };
}

/** As `normaliseJoint` and `normaliseChannels` take mean and deviation out. */
const formOf = ({ channels, together = false }: TargetConfig) =>
  together ? {} : { groups: channels, deviation: (variance: tf.Tensor) => tf.add(tf.sqrt(variance), 1e-6) };

/** The mask that keeps what this one hides. */
function swapped({ batch, tokens, kept, keep, masked, restore }: Mask): Mask {
  const hidden = tokens - kept;
  return {
    ...{ batch, tokens, kept: hidden, keep: masked, masked: keep },
    restore: restore.map((place) => (place < kept ? place + hidden : place - kept)),
  };
}
