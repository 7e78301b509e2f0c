/** From predicted cubes to clips that do not show more than the model knows. */
import * as tf from "@tensorflow/tfjs";
import {
  type Mask,
  maskedFlags,
  normaliseChannels,
  type ReconstructOptions,
  restoreRows,
  unpatchify,
} from "@unmask/core";
import { type CubeConfig, channelStatistics, cubeGrid, cubeOf, type VideoInput } from "./batch.js";

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
  const hidden = tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]);
  const mix = (atHidden: tf.Tensor, elsewhere: tf.Tensor) =>
    tf.add(tf.mul(atHidden, hidden), tf.mul(elsewhere, tf.sub(1, hidden))) as tf.Tensor3D;
  const clip = (tokens: tf.Tensor3D) => unpatchify(tokens, grid, cubeOf(config)) as tf.Tensor5D;

  const placed = restoreRows(prediction, tf.zeros([prediction.shape[2]]), swapped(mask)); // [B, N, P]
  const values = config.normalisePixels
    ? addStatistics(config, placed, pixels, mask, grid, denormalise)
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

/** The mask that keeps what this one hides. */
function swapped({ batch, tokens, kept, keep, masked, restore }: Mask): Mask {
  const hidden = tokens - kept;
  return {
    ...{ batch, tokens, kept: hidden, keep: masked, masked: keep },
    restore: restore.map((place) => (place < kept ? place + hidden : place - kept)),
  };
}

/** Normalised predictions times deviation plus mean of each cube and channel, the true ones or those of visible cubes near by. */
function addStatistics(
  { channels, together = false }: TargetConfig,
  prediction: tf.Tensor3D,
  pixels: tf.Tensor3D,
  mask: Mask,
  grid: readonly [number, number, number],
  source: "visible" | "truth",
): tf.Tensor {
  const [batch, tokens, size] = pixels.shape;
  const groups = together ? 1 : channels;
  const positions = size / groups;
  const byChannel = [batch, tokens, positions, groups];
  const values = pixels.reshape(byChannel);
  const mean = tf.mean(values, 2, true); // [B, N, 1, C]
  const variance = tf.div(tf.sum(tf.square(tf.sub(values, mean)), 2, true), positions - 1);
  // As `normaliseJoint` and `normaliseChannels` take it out.
  const std = together ? tf.sqrt(tf.add(variance, 1e-6)) : tf.add(tf.sqrt(variance), 1e-6);
  const near = tf.tensor3d(visibleWeights(mask, grid), [batch, tokens, tokens]);
  const known = (x: tf.Tensor) =>
    source === "truth"
      ? x
      : tf.matMul(near, x.reshape([batch, tokens, groups])).reshape([batch, tokens, 1, groups]);
  return tf.add(tf.mul(prediction.reshape(byChannel), known(std)), known(mean)).reshape(pixels.shape);
}

/** [B, N, N]: a visible cube counts itself; a hidden one the visible cubes by inverse fourth power of distance. */
function visibleWeights(mask: Mask, [, rows, columns]: readonly [number, number, number]): Float32Array {
  const { batch, tokens, kept, keep, restore } = mask;
  const weights = new Float32Array(batch * tokens * tokens);
  const place = (token: number) =>
    [Math.floor(token / (rows * columns)), Math.floor(token / columns) % rows, token % columns] as const;
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < tokens; i++) {
      const row = weights.subarray((b * tokens + i) * tokens, (b * tokens + i + 1) * tokens);
      if (restore[b * tokens + i]! < kept) {
        row[i] = 1;
        continue;
      }
      const [slot, y, x] = place(i);
      let sum = 0;
      for (const j of keep.subarray(b * kept, (b + 1) * kept)) {
        const [otherSlot, otherY, otherX] = place(j);
        row[j] = ((slot - otherSlot) ** 2 + (y - otherY) ** 2 + (x - otherX) ** 2) ** -2;
        sum += row[j]!;
      }
      for (const j of keep.subarray(b * kept, (b + 1) * kept)) row[j]! /= sum;
    }
  return weights;
}
