/** Images of many bands: their range, and the order of values inside a patch. */
import * as tf from "@tensorflow/tfjs";

/**
 * Each band of each image cut at two deviations around its mean and scaled to 0-1, as Sentinel images are for CROMA and
 * its predecessors. A band that is the same everywhere becomes 0.5.
 * @param images [B, H, W, C]
 */
export function clipBands(images: tf.Tensor): tf.Tensor4D {
  const mean = tf.mean(images, [1, 2], true); // [B, 1, 1, C]
  const deviation = tf.sqrt(tf.mean(tf.squaredDifference(images, mean), [1, 2], true));
  const steps = tf.div(tf.sub(images, mean), tf.maximum(deviation, 1e-12));
  return tf.add(tf.mul(tf.clipByValue(steps, -2, 2), 0.25), 0.5) as tf.Tensor4D;
}

/** Patches with the band fastest, as `patchify` cuts them, to patches with the band slowest. [B, N, P * C] -> [B, N, C * P] */
export const bandsFirst = (patches: tf.Tensor, bands: number): tf.Tensor3D => swap(patches, -1, bands);

/** The inverse of {@link bandsFirst}. [B, N, C * P] -> [B, N, P * C] */
export const bandsLast = (patches: tf.Tensor, bands: number): tf.Tensor3D => swap(patches, bands, -1);

function swap(patches: tf.Tensor, outer: number, inner: number): tf.Tensor3D {
  const [batch, tokens, size] = patches.shape as [number, number, number];
  const split = [outer, inner].map((extent) => (extent < 0 ? size / Math.max(outer, inner) : extent));
  return patches
    .reshape([batch * tokens, ...split])
    .transpose([0, 2, 1])
    .reshape([batch, tokens, size]);
}
