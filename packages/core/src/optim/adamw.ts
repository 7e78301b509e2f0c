/** AdamW (Loshchilov & Hutter 2019) and Adam (Kingma & Ba 2015) with PyTorch's arithmetic. */
import * as tf from "@tensorflow/tfjs";
import { copyOf } from "../tree.js";
import { createOptimizer, type Optimizer, scaled, type Update, type UpdateContext } from "./optimizer.js";
import type { ParameterRules } from "./rules.js";

export interface AdamWOptions {
  readonly rules: ParameterRules;
  /** Decay of the two moments. Default [0.9, 0.95], MAE's pretraining; PyTorch's default is [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  readonly epsilon?: number;
}

interface Coefficients {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

const KERNEL = "UnmaskAdamW";

/**
 * With g the gradient, m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2 and t counted from 1:
 * p <- p (1 - lr wd) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
 */
export function adamw(options: AdamWOptions): Optimizer {
  return withMoments(options, (update) => update);
}

/** Adam whose weight decay is a part of the gradient: g + wd p in the place of g, and no other decay. */
export function adam(options: AdamWOptions): Optimizer {
  return withMoments(options, (update, { gradScale }) =>
    update.weightDecay === 0
      ? update
      : {
          ...update,
          weightDecay: 0,
          gradient: tf.add(update.gradient, tf.mul(update.variable, update.weightDecay / gradScale)),
        },
  );
}

function withMoments(
  { rules, betas = [0.9, 0.95], epsilon = 1e-8 }: AdamWOptions,
  prepare: (update: Update, context: UpdateContext) => Update,
): Optimizer {
  const coefficients = { beta1: betas[0], beta2: betas[1], epsilon };
  const owned = new WeakSet<tf.Variable>();
  return createOptimizer(rules, ["exp_avg", "exp_avg_sq"], (given, context) => {
    const updates = given.map((update) => prepare(update, context));
    if (tf.getKernel(KERNEL, tf.getBackend()) === undefined) {
      for (const update of updates) compose(update, context, coefficients);
      return;
    }
    for (const { variable } of updates)
      if (!owned.has(variable)) {
        const copy = copyOf(variable); // no other tensor may share memory that is written in place
        variable.assign(copy);
        copy.dispose();
        owned.add(variable);
      }
    runKernel(updates, context, coefficients);
  });
}

function compose(
  { variable, gradient, lr, weightDecay, slots }: Update,
  { step, gradScale }: UpdateContext,
  { beta1, beta2, epsilon }: Coefficients,
): void {
  const [m, v] = slots as readonly [tf.Variable, tf.Variable];
  tf.tidy(() => {
    const g = scaled(gradient, gradScale);
    m.assign(tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1)));
    v.assign(tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2)));
    const root = tf.div(tf.sqrt(v), Math.sqrt(1 - beta2 ** step));
    const change = tf.mul(tf.div(m, tf.add(root, epsilon)), lr / (1 - beta1 ** step));
    const decayed = weightDecay === 0 ? variable : tf.mul(variable, 1 - lr * weightDecay);
    variable.assign(tf.sub(decayed, change));
  });
}

/**
 * `UnmaskAdamW`: all parameters in one call, parameters and moments in place.
 * inputs p0..pn, g0..gn, m0..mn, v0..vn; attrs lrs, weightDecays (one for each), beta1, beta2, epsilon,
 * step (from 1), gradScale; output one scalar that carries nothing.
 */
function runKernel(
  updates: readonly Update[],
  { step, gradScale }: UpdateContext,
  coefficients: Coefficients,
): void {
  const inputs: tf.NamedTensorMap = {};
  updates.forEach(({ variable, gradient, slots }, i) => {
    inputs[`p${i}`] = variable;
    inputs[`g${i}`] = gradient;
    inputs[`m${i}`] = slots[0]!;
    inputs[`v${i}`] = slots[1]!;
  });
  const lrs = updates.map(({ lr }) => lr);
  const weightDecays = updates.map(({ weightDecay }) => weightDecay);
  tf.engine().runKernel(KERNEL, inputs, { lrs, weightDecays, ...coefficients, step, gradScale });
}
