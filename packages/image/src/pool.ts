import * as tf from "@tensorflow/tfjs";
import { type Pool, UnmaskError } from "@unmask/core";

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

/** The same where there is no class token: [B, N, D] -> [B, D] or [B, N, D]. */
export function poolPlaces(method: string, tokens: tf.Tensor3D, pool: Pool): tf.Tensor {
  switch (pool) {
    case "mean":
      return tf.mean(tokens, 1);
    case "tokens":
      return tokens;
    default:
      throw new UnmaskError(`${method}: has no class token for pool "${pool}"; use "mean" or "tokens"`);
  }
}
