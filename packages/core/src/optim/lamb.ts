/** LAMB (You et al., ICLR 2020, arXiv 1904.00962) as timm has it. */
import * as tf from "@tensorflow/tfjs";
import { createOptimizer, type Optimizer, scaled } from "./optimizer.js";
import type { ParameterRules } from "./rules.js";

export interface LambOptions {
  readonly rules: ParameterRules;
  /** Decay of the two moments. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  readonly epsilon?: number;
}

/**
 * With g the gradient, m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2 and t counted from 1:
 * u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + wd p. Parameters that decay take u times |p| / |u|, where both
 * norms are positive; the others u as it is. Then p <- p - lr u.
 */
export function lamb({ rules, betas = [0.9, 0.999], epsilon = 1e-6 }: LambOptions): Optimizer {
  const [beta1, beta2] = betas;
  return createOptimizer(rules, ["exp_avg", "exp_avg_sq"], (updates, { step, gradScale }) => {
    for (const { variable, gradient, lr, weightDecay, slots } of updates)
      tf.tidy(() => {
        const [m, v] = slots as readonly [tf.Variable, tf.Variable];
        const g = scaled(gradient, gradScale);
        m.assign(tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1)));
        v.assign(tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2)));
        const root = tf.add(tf.div(tf.sqrt(v), Math.sqrt(1 - beta2 ** step)), epsilon);
        const adam = tf.div(tf.div(m, 1 - beta1 ** step), root);
        const decayed = tf.add(adam, tf.mul(variable, weightDecay));
        const direction = weightDecay === 0 ? adam : tf.mul(decayed, trust(variable, decayed));
        variable.assign(tf.sub(variable, tf.mul(direction, lr)));
      });
  });
}

/** Scalar |p| / |u|, or 1 where a norm is zero. */
function trust(p: tf.Tensor, u: tf.Tensor): tf.Tensor {
  const [pNorm, uNorm] = [tf.norm(p), tf.norm(u)];
  const one = tf.onesLike(uNorm);
  const usable = tf.logicalAnd(tf.greater(pNorm, 0), tf.greater(uNorm, 0));
  return tf.where(usable, tf.div(pNorm, tf.where(usable, uNorm, one)), one);
}
