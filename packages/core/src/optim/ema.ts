/** Exponential moving average of a parameter tree: a teacher that follows its student. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { flatten, type Params } from "../tree.js";
import { copyToVariable } from "./optimizer.js";

const KERNEL = "UnmaskEma";

/** A tree of the same structure and values with memory of its own, not trainable; the caller owns it. */
export function frozenCopy<P extends Params>(params: P): P {
  const copy = (node: unknown): unknown => {
    if (node instanceof tf.Variable) return copyToVariable(node);
    if (Array.isArray(node)) return node.map(copy);
    if (node === null || typeof node !== "object") return node;
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, copy(child)]));
  };
  return copy(params) as P;
}

export interface EmaOptions {
  /** What is not trained in the source: averaged too, the default, or left as it is in the target (batch norm's statistics). */
  readonly buffers?: "average" | "leave";
}

/**
 * target <- decay * target + (1 - decay) * source for every path of `target`.
 * `source` may hold more; its variables must not share memory with the target's (`frozenCopy` sees to that).
 * `UnmaskEma`: inputs t0..tn (in place), s0..sn; attrs decay; output one scalar that carries nothing.
 */
export function updateEma(
  target: Params,
  source: Params,
  decay: number,
  { buffers = "average" }: EmaOptions = {},
): void {
  expect(decay >= 0 && decay <= 1, `updateEma: decay must be in [0, 1], got ${decay}`);
  const sources = flatten(source);
  const pairs = [...flatten(target)].flatMap(([path, variable]) => {
    const from = sources.get(path);
    expect(from !== undefined, () => `updateEma: the source has no ${path}; make the target with frozenCopy`);
    return buffers === "average" || from.trainable ? [[variable, from] as const] : [];
  });
  tf.tidy(() => {
    if (tf.getKernel(KERNEL, tf.getBackend()) !== undefined) {
      const inputs: tf.NamedTensorMap = {};
      pairs.forEach(([variable, from], i) => {
        inputs[`t${i}`] = variable;
        inputs[`s${i}`] = from;
      });
      tf.engine().runKernel(KERNEL, inputs, { decay });
    } else
      for (const [variable, from] of pairs)
        variable.assign(tf.add(tf.mul(variable, decay), tf.mul(from, 1 - decay)));
  });
}
