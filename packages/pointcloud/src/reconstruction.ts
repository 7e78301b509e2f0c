import * as tf from "@tensorflow/tfjs";

/** What a person looks at, in the coordinates of the samples. */
export interface PointReconstruction {
  /** [B, N, 3] */
  readonly original: tf.Tensor3D;
  /** What the model saw: [B, V, 3] */
  readonly visible: tf.Tensor3D;
  /** What it made of it: [B, R, 3] */
  readonly reconstructed: tf.Tensor3D;
  /** Whether `reconstructed` stands for what was hidden, or for the whole cloud. */
  readonly covers: "hidden" | "whole";
  /** A line under the pictures. */
  readonly note: string;
}

/** Groups back at their centres: [B, G, S, 3] and [B, G, 3] -> [B, G * S, 3] */
export function atCentres(groups: tf.Tensor, centres: tf.Tensor3D): tf.Tensor3D {
  const [batch, count, size] = groups.shape as [number, number, number];
  return tf.add(groups, centres.expandDims(2)).reshape([batch, count * size, 3]);
}
