/** An operation with a gradient of its own, its inputs and what it saves by name. */
import * as tf from "@tensorflow/tfjs";
import type { Inputs } from "./kernel.js";

type Present<K extends string> = Readonly<Partial<Record<K, tf.Tensor>>>;

interface Forward<K extends string, S extends string> {
  readonly value: tf.Tensor;
  /** What the gradient reads; kept until it has run. */
  readonly saved: Present<S>;
  /** The gradients of all inputs that are there. Borrows dy, returns what it owns. */
  readonly gradient: (dy: tf.Tensor, saved: Present<S>) => Present<K>;
}

/**
 * An input that is undefined is absent: `forward` does not see it and gives it no gradient.
 * @param forward `taped` says whether a gradient may be asked for: what only that reads need not be computed otherwise
 */
export function differentiable<I extends Inputs, S extends string>(
  inputs: I,
  forward: (inputs: I, taped: boolean) => Forward<Extract<keyof I, string>, S>,
): tf.Tensor {
  const taped = tf.engine().isTapeOn();
  const names = Object.keys(inputs).filter((name) => inputs[name] !== undefined);
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const given = Object.fromEntries(names.map((name, i) => [name, args[i]]));
    const { value, saved, gradient } = forward(given as unknown as I, taped);
    const kept = (Object.entries(saved) as [S, tf.Tensor | undefined][]).filter(([, x]) => x !== undefined);
    save(kept.map(([, x]) => x!));
    return {
      value,
      gradFunc: (dy: tf.Tensor, tensors: tf.Tensor[]) => {
        const found = gradient(
          dy,
          Object.fromEntries(kept.map(([name], i) => [name, tensors[i]])) as Present<S>,
        );
        return names.map((name) => found[name as Extract<keyof I, string>]!);
      },
    };
  });
  return op(...names.map((name) => inputs[name]!));
}
