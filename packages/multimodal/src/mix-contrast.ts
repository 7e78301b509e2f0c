/** Contrasts between predictions and targets that are mixed or soft (MindEye, Scotti et al., arXiv 2305.18274). */
import * as tf from "@tensorflow/tfjs";
import { crossEntropy, gatherAny, type Random, tokenCrossEntropy } from "@unmask/core";
import { drawDirichlet } from "./budget.js";

/** Each row mixed with another: weight * x + (1 - weight) * x[partner]. */
export interface Mix {
  /** [B] */
  readonly partners: Int32Array;
  /** [B], 1 where a row stays as it is */
  readonly weights: Float32Array;
}

/**
 * Draws of MixCo (Kim et al., arXiv 2010.06300).
 * @param concentration of the Beta distribution that weights come from
 * @param share of rows that are mixed
 */
export function drawMix(
  batch: number,
  { concentration, share }: { readonly concentration: number; readonly share: number },
  random: Random,
): Mix {
  const partners = random.permutation(batch);
  const weights = Float32Array.from({ length: batch }, () => {
    const weight = drawDirichlet([concentration, concentration], random)[0]!;
    return random.uniform() < share ? weight : 1;
  });
  return { partners, weights };
}

/** Rows mixed with their partners: [B, D] -> [B, D] */
export function mixRows(rows: tf.Tensor2D, { partners, weights }: Mix): tf.Tensor2D {
  const own = tf.tensor2d(weights, [weights.length, 1]);
  return tf.add(tf.mul(rows, own), tf.mul(gatherAny(rows, partners), tf.sub(1, own)));
}

/**
 * What each mixed row should match. The reference assigns 1 - weight at the partner, so that a row whose partner is itself
 * loses its weight; "added" gives such a row the whole of 1.
 * @returns [B, B]
 */
export function mixTargets({ partners, weights }: Mix, rule: "assigned" | "added"): tf.Tensor2D {
  const batch = weights.length;
  const targets = new Float32Array(batch * batch);
  for (let i = 0; i < batch; i++) {
    targets[i * batch + i] = weights[i]!;
    const partner = i * batch + partners[i]!;
    targets[partner] = (rule === "added" ? targets[partner]! : 0) + 1 - weights[i]!;
  }
  return tf.tensor2d(targets, [batch, batch]);
}

const logits = (predictions: tf.Tensor, targets: tf.Tensor, temperature: number | tf.Tensor) =>
  tf.div(tf.matMul(predictions as tf.Tensor2D, targets as tf.Tensor2D, false, true), temperature);

const half = (a: tf.Tensor, b: tf.Tensor) => tf.mul(tf.add(a, b), 0.5) as tf.Scalar;

/** Soft cross-entropy of rows, mean over them; `targets` need not sum to 1. */
const softRows = (scores: tf.Tensor, targets: tf.Tensor) => tf.mean(tokenCrossEntropy(scores, targets));

/** MixCo in one direction: predictions of mixed rows among all targets. Unit rows [B, D]. */
export function mixCo(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  wanted: tf.Tensor2D,
  temperature: number,
): tf.Scalar {
  return softRows(logits(predictions, targets, temperature), wanted) as tf.Scalar;
}

/** MixCo in both directions, the second with the transposed wanted matches. Unit rows [B, D]. */
export function biMixCo(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  wanted: tf.Tensor2D,
  temperature: number,
): tf.Scalar {
  const scores = logits(predictions, targets, temperature);
  return half(softRows(scores, wanted), softRows(tf.transpose(scores), tf.transpose(wanted)));
}

/** InfoNCE in both directions of unit rows [B, D]. */
export function clipContrast(predictions: tf.Tensor, targets: tf.Tensor, temperature: number): tf.Scalar {
  const scores = logits(predictions, targets, temperature);
  const labels = Int32Array.from({ length: predictions.shape[0]! }, (_, i) => i);
  return half(crossEntropy(scores, labels), crossEntropy(tf.transpose(scores), labels));
}

/**
 * SoftCLIP: each prediction should be as close to all targets as its own target is. Both directions have the same row
 * softmax as their aim, and the gradient reaches the targets too. Unit rows [B, D].
 */
export function softClip(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  temperature: number | tf.Tensor = 0.125,
): tf.Scalar {
  const wanted = tf.softmax(logits(targets, targets, temperature));
  const scores = logits(predictions, targets, temperature);
  return half(softRows(scores, wanted), softRows(tf.transpose(scores), wanted));
}

/** As {@link softClip}, the aim being how close a second view of the targets is to the first. Unit rows [B, D]. */
export function softContrast(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  secondView: tf.Tensor,
  temperature = 0.125,
): tf.Scalar {
  const wanted = logits(targets, secondView, temperature);
  const scores = logits(predictions, secondView, temperature);
  const backwards = softRows(tf.transpose(scores), tf.softmax(tf.transpose(wanted)));
  return half(softRows(scores, tf.softmax(wanted)), backwards);
}
