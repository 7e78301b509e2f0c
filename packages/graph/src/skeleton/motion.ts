/** How much, and where to, joints move; MAMP's definitions (Mao et al., ICCV 2023). */
import * as tf from "@tensorflow/tfjs";
import { expect } from "@unmask/core";

/** x[t + stride] - x[t], zero in the last `stride` frames: [B, T, V, C] -> the same */
export function motionOf(clips: tf.Tensor4D, stride: number): tf.Tensor4D {
  const [batch, frames, joints, channels] = clips.shape;
  const moved = Math.max(0, frames - stride);
  const later = clips.slice([0, frames - moved], [batch, moved]);
  const ended = tf.zeros([batch, frames - moved, joints, channels]);
  return tf.concat([tf.sub(later, clips.slice([0, 0], [batch, moved])), ended], 1) as tf.Tensor4D;
}

/**
 * Mean absolute change of a joint since the frame `stride` before, the first `stride` frames' being that of those after
 * them: [B, T, V, C] -> [B, T, V, 1]
 */
export function jointMotion(clips: tf.Tensor4D, stride: number): tf.Tensor4D {
  const [batch, frames] = clips.shape;
  expect(frames >= 2 * stride, `jointMotion: ${frames} frames are too few to compare those ${stride} apart`);
  const change = tf.abs(tf.sub(clips.slice([0, stride]), clips.slice([0, 0], [batch, frames - stride])));
  return tf.mean(tf.concat([change.slice([0, 0], [batch, stride]), change], 1), 3, true) as tf.Tensor4D;
}

/**
 * Noise whose smallest values stay visible: log softmax(motion / (largest * temperature)) with a Gumbel draw for each
 * token, so that a token is hidden the more likely the more it moves.
 * @param motion [B, N]
 * @param uniform [B, N] draws from [0, 1)
 * @returns [B, N]
 */
export function motionNoise(
  motion: ArrayLike<number>,
  uniform: ArrayLike<number>,
  batch: number,
  temperature: number,
): Float64Array {
  const tokens = motion.length / batch;
  const noise = new Float64Array(motion.length);
  for (let b = 0; b < batch; b++) {
    const at = b * tokens;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < tokens; i++) largest = Math.max(largest, motion[at + i]!);
    let sum = 0;
    for (let i = 0; i < tokens; i++) {
      noise[at + i] = motion[at + i]! / (largest * temperature + 1e-10);
      sum += Math.exp(noise[at + i]!);
    }
    const logSum = Math.log(sum);
    for (let i = 0; i < tokens; i++)
      noise[at + i] = noise[at + i]! - logSum - Math.log(-Math.log(uniform[at + i]! + 1e-10) + 1e-10);
  }
  return noise;
}
