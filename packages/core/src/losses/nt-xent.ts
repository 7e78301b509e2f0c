import * as tf from "@tensorflow/tfjs";
import { crossEntropy } from "./cross-entropy.js";
import { similarityLogits } from "./info-nce.js";
import { sameShape } from "./reduce.js";

export interface NtXentOptions {
  readonly temperature: number;
  /** Divides rows by their length first; default true. */
  readonly normalise?: boolean;
}

/**
 * NT-Xent of SimCLR: each of the 2 B views must tell its partner from the other 2 B - 2 views; mean over all views.
 * @param a [B, D], one view of every sample
 * @param b [B, D], the other view
 */
export function ntXent(a: tf.Tensor, b: tf.Tensor, options: NtXentOptions): tf.Scalar {
  sameShape("ntXent", a, b);
  const batch = a.shape[0]!;
  const views = tf.concat([a, b], 0);
  const self = tf.mul(tf.eye(2 * batch), -1e9);
  const partners = Int32Array.from({ length: 2 * batch }, (_, i) => (i + batch) % (2 * batch));
  return crossEntropy(tf.add(similarityLogits(views, views, options), self), partners);
}
