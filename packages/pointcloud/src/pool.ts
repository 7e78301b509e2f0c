/** Features of a cloud from its tokens. */
import * as tf from "@tensorflow/tfjs";
import { expect, type Pool } from "@unmask/core";

/**
 * Without `pool`: the maximum over the tokens and their mean side by side, [B, 2D].
 * @param tokens [B, N, D] @param cls [B, D], where the method has a class token
 */
export function poolGroups(
  method: string,
  tokens: tf.Tensor3D,
  pool: Pool | undefined,
  cls?: tf.Tensor,
): tf.Tensor {
  const classToken = () => {
    expect(
      cls !== undefined,
      `${method}: has no class token; pool by "mean", or leave pool out for the maximum and the mean of the tokens`,
    );
    return cls;
  };
  const mean = () => tf.mean(tokens, 1);
  switch (pool) {
    case undefined:
      return tf.concat([tf.max(tokens, 1), mean()], 1);
    case "mean":
      return mean();
    case "cls":
      return classToken();
    case "cls+mean":
      return tf.concat([classToken(), mean()], 1);
    case "tokens":
      return tokens;
  }
}
