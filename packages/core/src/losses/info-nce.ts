import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { l2Normalise } from "./cosine.js";
import { crossEntropy } from "./cross-entropy.js";

/** A fixed temperature, or a learned logarithm of its inverse (CLIP). */
type SimilarityScale =
  | { readonly temperature: number; readonly logScale?: undefined }
  | { readonly logScale: tf.Tensor; readonly temperature?: undefined };

export type SimilarityOptions = SimilarityScale & {
  /** Divides rows by their length first; default true. */
  readonly normalise?: boolean;
};

/**
 * Scaled similarities of all pairs, the logits of contrastive losses.
 * @param queries [B, D]
 * @param keys [M, D]
 * @returns [B, M]
 */
export function similarityLogits(
  queries: tf.Tensor,
  keys: tf.Tensor,
  options: SimilarityOptions,
): tf.Tensor2D {
  expect(
    queries.rank === 2 && keys.rank === 2 && queries.shape[1] === keys.shape[1],
    () =>
      `similarityLogits: expected queries [B, D] and keys [M, D], got [${queries.shape}] and [${keys.shape}]`,
  );
  const rows = (x: tf.Tensor) => (options.normalise === false ? x : l2Normalise(x)) as tf.Tensor2D;
  const similarity = tf.matMul(rows(queries), rows(keys), false, true);
  if (options.logScale !== undefined) return tf.mul(similarity, tf.exp(options.logScale.reshape([])));
  expect(
    options.temperature > 0,
    () => `similarityLogits: temperature must be above 0, got ${options.temperature}; 0.07 is common`,
  );
  return tf.div(similarity, options.temperature);
}

export type InfoNceOptions = SimilarityOptions & {
  /** "one": keys are told apart for every query; "both" (default): also queries for every key, averaged. */
  readonly directions?: "one" | "both";
};

/**
 * InfoNCE: the i-th key is the positive of the i-th query, all others are negatives; mean over the batch.
 * @param queries [B, D]
 * @param keys [M, D]; with one direction, M may exceed B, keys beyond B being negatives of every query
 */
export function infoNce(queries: tf.Tensor, keys: tf.Tensor, options: InfoNceOptions): tf.Scalar {
  const logits = similarityLogits(queries, keys, options);
  const [batch, count] = logits.shape;
  const both = options.directions !== "one";
  expect(
    both ? batch === count : batch <= count,
    () =>
      `infoNce: ${batch} queries and ${count} keys; both directions need as many, one direction a key per query`,
  );
  const labels = Int32Array.from({ length: batch }, (_, i) => i);
  const forwards = crossEntropy(logits, labels);
  return both ? tf.mul(tf.add(forwards, crossEntropy(tf.transpose(logits), labels)), 0.5) : forwards;
}
