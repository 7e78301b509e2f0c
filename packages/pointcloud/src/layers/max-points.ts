import * as tf from "@tensorflow/tfjs";

/**
 * The largest of each channel over the points of each set: [R, S, C] -> [R, C]. The gradient goes to one point, the first
 * of several alike; that of `tf.max` goes to each of them, so that copies of a point would count twice.
 */
export function maxPoints(x: tf.Tensor3D): tf.Tensor2D {
  return tf.customGrad((input, save) => {
    const value = tf.max(input as tf.Tensor, 1);
    (save as tf.GradSaveFunc)([tf.argMax(input as tf.Tensor, 1)]);
    const gradFunc = (dy: tf.Tensor, [winner]: tf.Tensor[]) =>
      tf.tidy(() => {
        const places = tf.range(0, x.shape[1], 1, "int32").reshape([1, x.shape[1], 1]);
        return tf.mul(tf.equal(winner!.toInt().expandDims(1), places).toFloat(), dy.expandDims(1));
      });
    return { value, gradFunc };
  })(x) as tf.Tensor2D;
}
