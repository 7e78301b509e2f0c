/** Features of recordings from the tokens of their patches. */
import * as tf from "@tensorflow/tfjs";
import type { Pool } from "@unmask/core";
import type { AudioSample } from "./sample.js";

/** Features of a sample from its tokens, class token first: [B, 1 + N, D] -> [B, D], [B, 2D] or [B, N, D]. */
export function poolTokens(tokens: tf.Tensor3D, pool: Pool): tf.Tensor {
  const [batch, , width] = tokens.shape;
  const cls = () => tokens.slice([0, 0, 0], [batch, 1, width]).reshape([batch, width]);
  const patches = () => tokens.slice([0, 1, 0]);
  switch (pool) {
    case "cls":
      return cls();
    case "mean":
      return tf.mean(patches(), 1);
    case "cls+mean":
      return tf.concat([cls(), tf.mean(patches(), 1)], 1);
    case "tokens":
      return patches();
  }
}

export interface Recorded {
  readonly samples: readonly AudioSample[];
  /** Patches over [time, frequency]. */
  readonly grid: readonly [number, number];
}

/**
 * As `poolTokens`, but the mean is taken over time alone, of the steps that were recorded, and the means of all
 * frequencies stand side by side (Niizumi et al., Masked Spectrogram Modeling, arXiv 2204.12260): [B, F * D].
 */
export function poolBands(tokens: tf.Tensor3D, pool: Pool, { samples, grid }: Recorded): tf.Tensor {
  if (pool === "cls" || pool === "tokens") return poolTokens(tokens, pool);
  const [batch, , width] = tokens.shape;
  const [times, frequencies] = grid;
  const shares = new Float32Array(batch * times);
  samples.forEach(({ frames, recorded = frames }, b) => {
    const steps = Math.max(1, Math.ceil((recorded * times) / frames));
    shares.fill(1 / steps, b * times, b * times + steps);
  });
  const steps = tokens.slice([0, 1, 0]).reshape([batch, times, frequencies * width]);
  const means = tf.sum(tf.mul(steps, tf.tensor3d(shares, [batch, times, 1])), 1);
  return pool === "mean" ? means : tf.concat([poolTokens(tokens, "cls"), means], 1);
}
