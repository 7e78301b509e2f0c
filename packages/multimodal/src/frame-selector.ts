/** Frames of a clip that a text asks for: a score for each, and the tokens of the best. */
import * as tf from "@tensorflow/tfjs";
import { applyMlp, initLinear, type MlpParams, type Random, stopGradient } from "@unmask/core";
import { chooseHighest } from "./sparse-frames.js";

/** From [mean token of a frame, class token of the text] to one score, over a hidden layer as wide as a token. */
export const initFrameSelector = (random: Random, width: number): MlpParams => ({
  fc1: initLinear(random, 2 * width, width),
  fc2: initLinear(random, width, 1),
});

/**
 * Tokens of the `kept` frames of highest score + noise, times weights that are 1 and have the gradient of these frames'
 * softmax over all (straight-through).
 * @param frames [B, F, M, D]
 * @param text [B, D]
 * @param noise [B, F], Gumbel's in training
 * @returns [B, kept * M, D], the best frame first
 */
export function selectFrames(
  params: MlpParams,
  frames: tf.Tensor4D,
  text: tf.Tensor2D,
  kept: number,
  noise?: tf.Tensor2D,
): tf.Tensor3D {
  const [batch, count, tokens, width] = frames.shape;
  const asked = tf.add(tf.zeros([batch, count, width]), text.reshape([batch, 1, width]));
  const scores = applyMlp(params, tf.concat([tf.mean(frames, 2), asked], 2)).reshape([batch, count]);
  const noisy = (noise === undefined ? scores : tf.add(scores, noise)) as tf.Tensor2D;
  const chosen = chooseHighest(noisy, kept); // [B, kept, F]
  const share = tf.matMul(chosen, tf.softmax(noisy).reshape([batch, count, 1])); // [B, kept, 1]
  const weights = tf.add(1, tf.sub(share, stopGradient(share)));
  const best = tf.matMul(chosen, frames.reshape([batch, count, tokens * width]));
  return tf.mul(best, weights).reshape([batch, kept * tokens, width]);
}
