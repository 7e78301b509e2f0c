/** LARS (You et al. 2017) as MAE's linear probe uses it. */
import * as tf from "@tensorflow/tfjs";
import { createOptimizer, type Optimizer, scaled } from "./optimizer.js";
import type { ParameterRules } from "./rules.js";

export interface LarsOptions {
  readonly rules: ParameterRules;
  readonly momentum?: number;
  /** Trust coefficient. */
  readonly trust?: number;
}

/**
 * Parameters of more than one axis: d = g + wd p, times trust |p| / |d| where both norms are positive.
 * The others: d = g, neither decayed nor scaled. Then b <- momentum b + d; p <- p - lr b.
 */
export function lars({ rules, momentum = 0.9, trust = 0.001 }: LarsOptions): Optimizer {
  return createOptimizer(rules, ["momentum_buffer"], (updates, { gradScale }) => {
    for (const { variable, gradient, lr, weightDecay, slots } of updates)
      tf.tidy(() => {
        const buffer = slots[0]!;
        let d = scaled(gradient, gradScale);
        if (variable.rank > 1) {
          if (weightDecay !== 0) d = tf.add(d, tf.mul(variable, weightDecay));
          d = tf.mul(d, trustRatio(variable, d, trust));
        }
        buffer.assign(tf.add(tf.mul(buffer, momentum), d));
        variable.assign(tf.sub(variable, tf.mul(buffer, lr)));
      });
  });
}

/** Scalar trust |p| / |d|, or 1 where a norm is zero. */
function trustRatio(p: tf.Tensor, d: tf.Tensor, trust: number): tf.Tensor {
  const [pNorm, dNorm] = [tf.norm(p), tf.norm(d)];
  const usable = tf.logicalAnd(tf.greater(pNorm, 0), tf.greater(dNorm, 0));
  const one = tf.onesLike(dNorm);
  return tf.where(usable, tf.div(tf.mul(pNorm, trust), tf.where(usable, dNorm, one)), one);
}
