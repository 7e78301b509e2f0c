import * as tf from "@tensorflow/tfjs";

/**
 * A learned token in front of every sample's tokens: [1, 1, D] and [B, N, D] -> [B, 1 + N, D].
 * Added to zeros rather than tiled: the gradient of `tile` is one slice per sample.
 */
export function prependToken(token: tf.Tensor, tokens: tf.Tensor): tf.Tensor3D {
  const [batch, , width] = tokens.shape as [number, number, number];
  return tf.concat([tf.add(token, tf.zeros([batch, 1, width])), tokens], 1) as tf.Tensor3D;
}
