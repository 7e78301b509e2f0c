/** Contrast between every two of several modalities, over the samples that have both. */
import * as tf from "@tensorflow/tfjs";
import { expect, gatherAny, infoNce, type SimilarityOptions } from "@unmask/core";
import type { ByModality } from "./by-modality.js";

export interface PairwiseTerms {
  /** Mean over the pairs that at least two samples have. */
  readonly mean: tf.Scalar;
  /** By `first-second`. */
  readonly pairs: Readonly<Record<string, tf.Scalar>>;
}

/**
 * InfoNCE in both directions between each two modalities.
 * @param embeddings [B, D] each
 * @param present [B] by modality: 1 where a sample has it; absent: all have all
 */
export function pairwiseContrast(
  embeddings: ByModality<tf.Tensor>,
  { present, ...similarity }: SimilarityOptions & { readonly present?: ByModality<Float32Array> },
): PairwiseTerms {
  const names = Object.keys(embeddings);
  expect(
    names.length > 1,
    () => `pairwiseContrast: ${names.length} modality has nothing to be told apart from`,
  );
  const pairs: Record<string, tf.Scalar> = {};
  names.forEach((first, i) => {
    for (const second of names.slice(i + 1)) {
      const batch = embeddings[first]!.shape[0]!;
      const both = Int32Array.from({ length: batch }, (_, b) => b).filter(
        (b) => (present?.[first]?.[b] ?? 1) * (present?.[second]?.[b] ?? 1) === 1,
      );
      if (both.length < 2) continue; // nothing to tell apart
      const rows = (x: tf.Tensor) => (both.length === batch ? x : gatherAny(x as tf.Tensor2D, both));
      pairs[`${first}-${second}`] = infoNce(rows(embeddings[first]!), rows(embeddings[second]!), similarity);
    }
  });
  const terms = Object.values(pairs);
  const none = () => tf.mul(tf.sum(embeddings[names[0]!]!), 0) as tf.Scalar;
  const sum = terms.length === 0 ? none() : terms.reduce((a, b) => tf.add(a, b));
  return { mean: tf.div(sum, Math.max(1, terms.length)), pairs };
}
