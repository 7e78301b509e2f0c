/** An operation with a gradient of its own, its inputs and what it saves by name. */
import * as tf from "@tensorflow/tfjs";
import type { Inputs } from "./kernel.js";
import { type TapeEngine, tapeEngine } from "./tape.js";

type Present<K extends string> = Readonly<Partial<Record<K, tf.Tensor>>>;

interface Forward<K extends string, S extends string> {
  readonly value: tf.Tensor;
  /** What the gradient reads; kept until it has run. */
  readonly saved: Present<S>;
  /** The gradients of all inputs that are there, or functions for those worth leaving out. Borrows dy, returns what it owns. */
  readonly gradient: (
    dy: tf.Tensor,
    saved: Present<S>,
  ) => Readonly<Partial<Record<K, tf.Tensor | (() => tf.Tensor)>>>;
}

/**
 * What `tf.customGrad` does, without running a kernel for each tensor that is saved: those are most of the kernels of
 * a step otherwise. An input that is undefined is absent: `forward` does not see it and gives it no gradient.
 * @param forward `taped` says whether a gradient may be asked for: what only that reads need not be computed otherwise
 */
export function differentiable<I extends Inputs, S extends string>(
  inputs: I,
  forward: (inputs: I, taped: boolean) => Forward<Extract<keyof I, string>, S>,
): tf.Tensor {
  const engine = tapeEngine();
  const taped = engine.isTapeOn();
  const given = Object.fromEntries(Object.entries(inputs).filter(([, x]) => x !== undefined)) as I;
  let made!: Forward<Extract<keyof I, string>, S>;
  let saved!: Present<S>;
  engine.state.kernelDepth++;
  try {
    tf.tidy(() => {
      made = forward(given, taped);
      if (taped) saved = keepAll(engine, made.saved, made.value);
      return made.value;
    });
  } finally {
    engine.state.kernelDepth--;
  }
  const { value, gradient } = made;
  if (!taped) return value;
  const names = Object.keys(given) as Extract<keyof I, string>[];
  engine.state.activeTape!.push({
    ...{ id: engine.state.nextTapeNodeId++, kernelName: "differentiable" },
    ...{
      inputs: given as Record<string, tf.Tensor>,
      outputs: [value],
      saved: Object.values(saved) as tf.Tensor[],
    },
    gradient: ([dy]) => {
      const found = gradient(dy!, saved);
      return Object.fromEntries(names.map((name) => [name, lazily(found[name]!)]));
    },
  });
  return value;
}

/** What `forward` has made is kept itself, anything else as another tensor of the same data. */
function keepAll<S extends string>(engine: TapeEngine, tensors: Present<S>, value: tf.Tensor): Present<S> {
  const scope = engine.state.activeScope.id;
  const kept = Object.entries<tf.Tensor | undefined>(tensors).flatMap(([name, tensor]) => {
    if (tensor === undefined) return [];
    const own = tensor.scopeId === scope && tensor !== value && !tensor.kept;
    return [[name, tf.keep(own ? tensor : alias(engine, tensor))]];
  });
  return Object.fromEntries(kept);
}

function alias(engine: TapeEngine, { dataId, shape, dtype }: tf.Tensor): tf.Tensor {
  engine.backend.incRef(dataId);
  return engine.makeTensorFromTensorInfo({ dataId, shape, dtype });
}

const lazily = (gradient: tf.Tensor | (() => tf.Tensor)) =>
  typeof gradient === "function" ? gradient : () => gradient;
