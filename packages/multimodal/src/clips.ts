/** Clips as methods of the VideoMAE family take and predict them. */
import * as tf from "@tensorflow/tfjs";
import { normaliseChannels } from "@unmask/core";
import { type AlignedSample, stackParts } from "./sample.js";

export interface ClipColours {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The part "video" of each sample, (value - mean) / std: [B, T, H, W, 3] */
export function clipTensor(
  { mean, std }: ClipColours,
  size: readonly number[],
  samples: readonly AlignedSample[],
): tf.Tensor5D {
  const values = stackParts(samples, "video", [...size, 3]);
  return tf.div(tf.sub(values, tf.tensor1d([...mean])), tf.tensor1d([...std]));
}

/** The inverse: colours from 0 to 1, channels last. */
export const clipColours = <T extends tf.Tensor>({ mean, std }: ClipColours, values: T): T =>
  tf.add(tf.mul(values, tf.tensor1d([...std])), tf.tensor1d([...mean]));

/** What cubes of a normalised clip are predicted as: colours, with each channel's mean and deviation taken out where wished. [B, N, P] */
export function cubeTarget(colours: ClipColours, cubes: tf.Tensor3D, normalised: boolean): tf.Tensor3D {
  const [batch, tokens, values] = cubes.shape;
  const shown = clipColours(colours, cubes.reshape([batch, tokens, values / 3, 3])).reshape(cubes.shape);
  return (normalised ? normaliseChannels(shown, 3) : shown) as tf.Tensor3D;
}

/** The inverse of `normaliseChannels` with the truth's own statistics: [B, N, P] */
export function withChannelStatistics(values: tf.Tensor, truth: tf.Tensor, channels: number): tf.Tensor {
  const [batch, tokens, width] = truth.shape as [number, number, number];
  const places = width / channels;
  const split = (x: tf.Tensor) => x.reshape([batch, tokens, places, channels]);
  const { mean, variance } = tf.moments(split(truth), 2, true);
  const deviation = tf.sqrt(tf.mul(variance, places / (places - 1)));
  return tf.add(tf.mul(split(values), tf.add(deviation, 1e-6)), mean).reshape(truth.shape);
}
