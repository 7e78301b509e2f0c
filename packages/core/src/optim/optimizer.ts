/** What all optimizers share: updates of variables by path, and state keyed by path. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { copyOf } from "../tree.js";
import type { ParameterRules } from "./rules.js";

export interface StepOptions {
  readonly lr: number;
  /** Every gradient is multiplied by this first; see `clipScale`. Default 1. */
  readonly gradScale?: number;
  /** Every weight decay is multiplied by this, for decay that changes on the way. Default 1. */
  readonly decayScale?: number;
}

export interface OptimizerState {
  /** Updates made so far. */
  readonly step: number;
  /** Slots by `SLOT.PATH`, for example `exp_avg.blocks.0.attn.qkv.weight`. */
  readonly tensors: ReadonlyMap<string, tf.Tensor>;
}

export interface Optimizer {
  /**
   * Updates `params` in place. Borrows both. A parameter without a gradient is left as it is, and so are its slots.
   * @throws UnmaskError when a gradient has no parameter.
   */
  step(
    params: ReadonlyMap<string, tf.Variable>,
    gradients: ReadonlyMap<string, tf.Tensor>,
    options: StepOptions,
  ): void;
  /** The state as it is now; the tensors are borrowed and change with the next step. */
  state(): OptimizerState;
  /** Continues from a state. Borrows it. */
  load(state: OptimizerState): void;
  dispose(): void;
}

/** One parameter's part of a step. */
export interface Update {
  readonly path: string;
  readonly variable: tf.Variable;
  readonly gradient: tf.Tensor;
  readonly lr: number;
  readonly weightDecay: number;
  readonly slots: readonly tf.Variable[];
}

export interface UpdateContext {
  /** Counts from 1. */
  readonly step: number;
  readonly gradScale: number;
}

/**
 * An optimizer from its update rule.
 * @param slotNames tensors kept for each parameter, zero at first
 * @param update changes variables and slots; runs inside a tidy
 */
export function createOptimizer(
  rules: ParameterRules,
  slotNames: readonly string[],
  update: (updates: readonly Update[], context: UpdateContext) => void,
): Optimizer {
  const slots = new Map<string, tf.Variable>();
  let step = 0;

  const slot = (name: string, variable: tf.Variable): tf.Variable => {
    const found = slots.get(name);
    if (found !== undefined) return found;
    const made = tf.tidy(() => tf.variable(tf.fill(variable.shape, 0), false));
    slots.set(name, made);
    return made;
  };

  const optimizer: Optimizer = {
    step(params, gradients, { lr, gradScale = 1, decayScale = 1 }) {
      const updates = [...gradients].map(([path, gradient]): Update => {
        const variable = params.get(path);
        expect(variable !== undefined, () => `optimizer: gradient for ${path}, which is not a parameter`);
        const { lrScale, weightDecay } = rules(path, variable.shape);
        const own = slotNames.map((name) => slot(`${name}.${path}`, variable));
        return {
          ...{ path, variable, gradient, lr: lr * lrScale },
          ...{ weightDecay: weightDecay * decayScale, slots: own },
        };
      });
      step++;
      tf.tidy(() => update(updates, { step, gradScale }));
    },
    state: () => ({ step, tensors: slots }),
    load(state) {
      optimizer.dispose();
      step = state.step;
      for (const [name, tensor] of state.tensors) slots.set(name, copyToVariable(tensor));
    },
    dispose() {
      for (const variable of slots.values()) variable.dispose();
      slots.clear();
    },
  };
  return optimizer;
}

/** A variable with memory of its own. */
export function copyToVariable(tensor: tf.Tensor): tf.Variable {
  return tf.tidy(() => tf.variable(copyOf(tensor), false));
}

export const scaled = (gradient: tf.Tensor, scale: number): tf.Tensor =>
  scale === 1 ? gradient : tf.mul(gradient, scale);
