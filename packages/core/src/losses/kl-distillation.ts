import * as tf from "@tensorflow/tfjs";
import { sameShape } from "./reduce.js";

export interface KlDistillationOptions {
  /** Divides both logits; the loss is multiplied by its square. Default 1. */
  readonly temperature?: number;
}

/**
 * Distillation of Hinton et al.: T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over rows.
 * @param student logits [..., C]
 * @param teacher logits [..., C]
 */
export function klDistillation(
  student: tf.Tensor,
  teacher: tf.Tensor,
  { temperature = 1 }: KlDistillationOptions = {},
): tf.Scalar {
  sameShape("klDistillation", student, teacher);
  const wanted = tf.logSoftmax(tf.div(teacher, temperature));
  const got = tf.logSoftmax(tf.div(student, temperature));
  const divergence = tf.sum(tf.mul(tf.exp(wanted), tf.sub(wanted, got)), -1);
  return tf.mul(tf.mean(divergence), temperature ** 2);
}
