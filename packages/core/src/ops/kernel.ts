/**
 * How an operation finds its implementation. Each op of this folder is written once as a composition of
 * tfjs operations; an engine that registers a kernel of the same name (`Unmask...`) is used instead.
 * Inputs, attributes and outputs of a kernel are those of the composition, stated in its docstring.
 */
import * as tf from "@tensorflow/tfjs";

/** Tensors by name; an optional input that was not given is absent. */
export type Inputs = Readonly<Record<string, tf.Tensor | undefined>>;

export interface Kernel<I extends Inputs, A extends object> {
  (inputs: I, attrs: A): tf.Tensor[];
  readonly kernelName: string;
  /** The tfjs composition, what runs on an engine without a kernel of this name. */
  readonly compose: (inputs: I, attrs: A) => tf.Tensor[];
}

/** All kernels that the ops define, by name: what an engine may replace. */
export const kernels = new Map<string, Kernel<never, never>>();

/** Declares a kernel and its composition. */
export function kernel<I extends Inputs, A extends object>(
  kernelName: string,
  compose: (inputs: I, attrs: A) => tf.Tensor[],
): Kernel<I, A> {
  const run = (inputs: I, attrs: A): tf.Tensor[] => {
    if (tf.getKernel(kernelName, tf.getBackend()) === undefined) return tf.tidy(() => compose(inputs, attrs));
    const given: tf.NamedTensorMap = {};
    for (const [name, tensor] of Object.entries(inputs)) if (tensor !== undefined) given[name] = tensor;
    const outputs = tf.engine().runKernel(kernelName, given, attrs as tf.NamedAttrMap) as
      | tf.Tensor
      | tf.Tensor[];
    return Array.isArray(outputs) ? outputs : [outputs];
  };
  const declared = Object.assign(run, { kernelName, compose });
  kernels.set(kernelName, declared as unknown as Kernel<never, never>);
  return declared;
}

/**
 * The engine's kernel of this name over arrays of the host, for what reads and prepares samples; undefined where the
 * current engine has none, and the caller's own code does it.
 * @returns the first output
 */
export function runHostKernel(
  kernelName: string,
  inputs: Readonly<Record<string, Float32Array>>,
  attrs: object,
): Int32Array | undefined {
  if (tf.getKernel(kernelName, tf.getBackend()) === undefined) return undefined;
  let result: Int32Array | undefined;
  tf.tidy(() => {
    const given: tf.NamedTensorMap = {};
    for (const [name, values] of Object.entries(inputs)) given[name] = tf.tensor1d(values);
    const outputs = tf.engine().runKernel(kernelName, given, attrs as tf.NamedAttrMap) as tf.Tensor[];
    result = outputs[0]!.dataSync() as Int32Array;
  });
  return result;
}
