/**
 * Reverse-mode gradients over TensorFlow.js's tape, with the memory of a step in mind: `tf.variableGrads` holds whatever
 * the forward pass saved and every gradient on the way until all is done; here each goes once its last reader is.
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { type TapeNode, tapeEngine } from "../ops/tape.js";

/**
 * The value of `loss` and its gradients by `variables`, in their order and equal to those of `tf.variableGrads` to the
 * bit; undefined where the loss does not depend on one. Owned by the caller.
 */
export function valueAndGradients(
  loss: () => tf.Scalar,
  variables: readonly tf.Variable[],
): { value: tf.Scalar; gradients: (tf.Tensor | undefined)[] } {
  const tape = new Tape();
  try {
    const value = tape.record(loss);
    const gradients = tape.backward(value, variables);
    return { value, gradients };
  } finally {
    tape.dispose();
  }
}

class Tape {
  private nodes: TapeNode[] = [];

  record(f: () => tf.Scalar): tf.Scalar {
    const engine = tapeEngine();
    expect(
      engine.state.gradientDepth === 0,
      "valueAndGradients: called while other gradients are computed; it does not nest",
    );
    engine.startTape();
    try {
      return tf.tidy(f);
    } finally {
      this.nodes = engine.state.activeTape ?? [];
      engine.state.activeTape = null;
      engine.endTape();
    }
  }

  backward(value: tf.Scalar, variables: readonly tf.Variable[]): (tf.Tensor | undefined)[] {
    const reached = this.reachedFrom(variables);
    const gradients = new Gradients();
    return tf.tidy(() => {
      gradients.add(value, tf.onesLike(value));
      for (let node = this.nodes.pop(); node !== undefined; node = this.nodes.pop()) {
        const { inputs, outputs } = node;
        const dys = outputs.map((output) => gradients.of(output) ?? null);
        if (dys.some((dy) => dy !== null) && outputs.some(({ id }) => reached.has(id))) {
          const wanted = Object.keys(inputs).filter((name) => reached.has(inputs[name]!.id));
          const dxs = tf.tidy(() => gradientsOf(node!, wanted, dys));
          wanted.forEach((name, i) => {
            gradients.add(inputs[name]!, dxs[i]!);
          });
        }
        for (const output of outputs) gradients.drop(output);
        disposeSaved(node);
      }
      return variables.map((variable) => gradients.of(variable));
    }) as (tf.Tensor | undefined)[];
  }

  /** Ids of the tensors that depend on one of the variables. */
  private reachedFrom(variables: readonly tf.Variable[]): Set<number> {
    const reached = new Set(variables.map(({ id }) => id));
    for (const { inputs, outputs } of this.nodes)
      if (Object.values(inputs).some(({ id }) => reached.has(id)))
        for (const { id } of outputs) reached.add(id);
    return reached;
  }

  /** Whatever an error has left. */
  dispose(): void {
    this.nodes.forEach(disposeSaved);
  }
}

function gradientsOf(
  { kernelName, gradient, inputs }: TapeNode,
  wanted: readonly string[],
  dys: readonly (tf.Tensor | null)[],
): tf.Tensor[] {
  expect(gradient !== undefined, () => `valueAndGradients: ${kernelName} has no gradient`);
  const byInput = gradient(dys);
  return wanted.map((name) => {
    const dx = byInput[name]?.();
    expect(
      dx !== undefined && tf.util.arraysEqual(dx.shape, inputs[name]!.shape),
      () =>
        `valueAndGradients: ${kernelName} gives input ${name}, [${inputs[name]!.shape}], a gradient [${dx?.shape ?? "none"}]`,
    );
    return dx;
  });
}

function disposeSaved({ saved = [] }: TapeNode): void {
  for (const tensor of saved) tensor.dispose();
}

/** Gradients of tensors; a gradient function may hand one tensor to several. */
class Gradients {
  private readonly byTensor = new Map<number, tf.Tensor>();
  private readonly uses = new Map<tf.Tensor, number>();

  of({ id }: tf.Tensor): tf.Tensor | undefined {
    return this.byTensor.get(id);
  }

  add({ id }: tf.Tensor, gradient: tf.Tensor): void {
    const present = this.byTensor.get(id);
    const sum = present === undefined ? gradient : tf.add(present, gradient);
    this.byTensor.set(id, sum);
    this.uses.set(sum, (this.uses.get(sum) ?? 0) + 1);
    if (present === undefined) return;
    this.release(present);
    if (!this.uses.has(gradient)) gradient.dispose();
  }

  drop({ id }: tf.Tensor): void {
    const gradient = this.byTensor.get(id);
    if (gradient === undefined) return;
    this.byTensor.delete(id);
    this.release(gradient);
  }

  private release(gradient: tf.Tensor): void {
    const left = this.uses.get(gradient)! - 1;
    if (left > 0) this.uses.set(gradient, left);
    else {
      this.uses.delete(gradient);
      gradient.dispose();
    }
  }
}
