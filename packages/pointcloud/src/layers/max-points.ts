import * as tf from "@tensorflow/tfjs";

/**
 * The largest of each channel over the points of each set: [R, S, C] -> [R, C]. The gradient is shared by points that are
 * alike; that of `tf.max` goes to each of them whole, so that copies of a point would count twice.
 */
export function maxPoints(x: tf.Tensor3D): tf.Tensor2D {
  return tf.customGrad((input, save) => {
    const value = tf.max(input as tf.Tensor, 1);
    (save as tf.GradSaveFunc)([input as tf.Tensor, value]);
    const gradFunc = (dy: tf.Tensor, [points, largest]: tf.Tensor[]) =>
      tf.tidy(() => {
        const winners = tf.equal(points!, largest!.expandDims(1)).toFloat(); // [R, S, C]
        const share = tf.div(dy, tf.sum(winners, 1));
        return tf.mul(winners, share.expandDims(1));
      });
    return { value, gradFunc };
  })(x) as tf.Tensor2D;
}
