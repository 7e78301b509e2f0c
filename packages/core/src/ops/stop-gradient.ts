import * as tf from "@tensorflow/tfjs";

/** x as it is, through which no gradient goes. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((input) => ({
    value: (input as tf.Tensor).clone(),
    gradFunc: (dy) => tf.zerosLike(dy),
  }))(x) as T;
}
