/** Targets normalised token by token, in the three forms that the methods use; they differ in where epsilon stands. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";

/**
 * MAE's: over all values of a token, (x - mean) / sqrt(var + 1e-6), the variance with N - 1.
 * @param target [..., P], P at least 2
 */
export function normaliseJoint(target: tf.Tensor): tf.Tensor {
  const { centred, variance } = unbiased("normaliseJoint", target, -1);
  return tf.div(centred, tf.sqrt(tf.add(variance, 1e-6)));
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
  const { centred, variance } = unbiased("normaliseChannels", byChannel, -2);
  return tf.div(centred, tf.add(tf.sqrt(variance), 1e-6)).reshape(target.shape);
}

/**
 * BootMAE's: layer-norm arithmetic, (x - mean) / sqrt(var + epsilon), the variance with N.
 * @param target [..., P]
 */
export function normaliseLayer(target: tf.Tensor, epsilon = 1e-6): tf.Tensor {
  const centred = tf.sub(target, tf.mean(target, -1, true));
  return tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon)));
}

function unbiased(name: string, x: tf.Tensor, axis: number): { centred: tf.Tensor; variance: tf.Tensor } {
  const count = x.shape.at(axis)!;
  expect(count > 1, `${name}: ${count} value has no variance; use larger patches or targets as they are`);
  const centred = tf.sub(x, tf.mean(x, axis, true));
  return { centred, variance: tf.div(tf.sum(tf.square(centred), axis, true), count - 1) };
}
