/** Stochastic gradient descent with PyTorch's momentum. */
import * as tf from "@tensorflow/tfjs";
import { createOptimizer, type Optimizer, scaled } from "./optimizer.js";
import type { ParameterRules } from "./rules.js";

export interface SgdOptions {
  readonly rules: ParameterRules;
  readonly momentum?: number;
  readonly nesterov?: boolean;
}

/** d = g + wd p; b <- momentum b + d; p <- p - lr (nesterov ? d + momentum b : b). */
export function sgd({ rules, momentum = 0, nesterov = false }: SgdOptions): Optimizer {
  return createOptimizer(rules, momentum === 0 ? [] : ["momentum_buffer"], (updates, { gradScale }) => {
    for (const { variable, gradient, lr, weightDecay, slots } of updates)
      tf.tidy(() => {
        const g = scaled(gradient, gradScale);
        const decayed = weightDecay === 0 ? g : tf.add(g, tf.mul(variable, weightDecay));
        const [buffer] = slots;
        let change = decayed;
        if (buffer !== undefined) {
          buffer.assign(tf.add(tf.mul(buffer, momentum), decayed));
          change = nesterov ? tf.add(decayed, tf.mul(buffer, momentum)) : buffer;
        }
        variable.assign(tf.sub(variable, tf.mul(change, lr)));
      });
  });
}
