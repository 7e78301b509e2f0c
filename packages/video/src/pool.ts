import * as tf from "@tensorflow/tfjs";
import { type Pool, UnmaskError } from "@unmask/core";

/** Features of a clip from its tokens; video transformers have no class token: [B, N, D] -> [B, D] or [B, N, D]. */
export function poolTokens(method: string, tokens: tf.Tensor, pool: Pool): tf.Tensor {
  switch (pool) {
    case "mean":
      return tf.mean(tokens, 1);
    case "tokens":
      return tokens;
    case "cls":
    case "cls+mean":
      throw new UnmaskError(`${method}: has no class token; use pool "mean" or "tokens"`);
  }
}
