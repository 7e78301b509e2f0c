/** Targets normalised token by token, in the three forms that the methods use; they differ in where epsilon stands. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { layerNorm } from "../ops/layer-norm.js";

/**
 * MAE's: over all values of a token, (x - mean) / sqrt(var + 1e-6), the variance with N - 1.
 * @param target [..., P], P at least 2
 */
export function normaliseJoint(target: tf.Tensor): tf.Tensor {
  const width = target.shape.at(-1)!;
  varies("normaliseJoint", width);
  // The variance with N - 1 is N / (N - 1) that of a layer norm, whose epsilon and scale follow.
  const share = (width - 1) / width;
  return layerNorm(target, tf.fill([width], Math.sqrt(share)), tf.zeros([width]), 1e-6 * share);
}

/**
 * VideoMAE's: per channel over the positions of a token, (x - mean) / (sd + 1e-6), the deviation with N - 1.
 * @param target [..., P], channel fastest; P / channels at least 2
 */
export function normaliseChannels(target: tf.Tensor, channels: number): tf.Tensor {
  const width = target.shape.at(-1)!;
  expect(
    width % channels === 0,
    () =>
      `normaliseChannels: ${width} values a token do not divide into ${channels} channels; check the patch size`,
  );
  const byChannel = target.reshape([...target.shape.slice(0, -1), width / channels, channels]);
  varies("normaliseChannels", width / channels);
  const centred = tf.sub(byChannel, tf.mean(byChannel, -2, true));
  const variance = tf.div(tf.sum(tf.square(centred), -2, true), width / channels - 1);
  return tf.div(centred, tf.add(tf.sqrt(variance), 1e-6)).reshape(target.shape);
}

/**
 * BootMAE's: layer-norm arithmetic, (x - mean) / sqrt(var + epsilon), the variance with N.
 * @param target [..., P]
 */
export function normaliseLayer(target: tf.Tensor, epsilon = 1e-6): tf.Tensor {
  return layerNorm(target, undefined, undefined, epsilon);
}

function varies(name: string, count: number): void {
  expect(count > 1, `${name}: ${count} value has no variance; use larger patches or targets as they are`);
}
