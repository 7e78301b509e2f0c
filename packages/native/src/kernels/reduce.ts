/** Reductions and softmax over float32. */
import * as tf from "@tensorflow/tfjs";
import type { NativeBackend } from "../backend.js";
import type { Floats } from "../memory.js";
import { type Call, isFloat, type Kernels, type NativeKernel, sizeOf } from "./kernel.js";

/** Order of `Reduction` in cpp/kernels/exports.h. */
export const SUM = 0;
const MAX = 1;
const MIN = 2;

/**
 * Reduces `axes` of an array of the given shape, one run of neighbouring axes at a time, the last run first.
 * @returns a new tensor of shape `result`
 */
export function reduceAxes(
  backend: NativeBackend,
  op: number,
  x: Floats,
  shape: readonly number[],
  axes: readonly number[],
  result: number[],
  scale = 1,
): tf.TensorInfo {
  const reduced = shape.map((_, d) => axes.includes(d));
  const runs: { outer: number; n: number; inner: number }[] = [];
  let inner = 1;
  for (let d = shape.length - 1; d >= 0; ) {
    let n = 1;
    if (reduced[d]) {
      for (; d >= 0 && reduced[d]; d--) n *= shape[d]!;
      runs.push({ outer: sizeOf(shape.slice(0, d + 1)), n, inner });
    } else inner *= shape[d--]!;
  }
  if (runs.length === 0) runs.push({ outer: sizeOf(shape), n: 1, inner: 1 });
  let source = x;
  let previous: tf.TensorInfo | undefined;
  runs.forEach(({ outer, n, inner }, i) => {
    const last = i === runs.length - 1;
    const next = backend.create(last ? result : [outer, inner]);
    if (outer * inner > 0) backend.addon.reduce(op, source, next.array, outer, n, inner, last ? scale : 1);
    if (previous !== undefined) backend.disposeIntermediateTensorInfo(previous);
    previous = next.info;
    source = next.array;
  });
  return previous!;
}

function reduction(op: number, mean = false): NativeKernel {
  return ({ inputs, attrs, backend }: Call) => {
    const { x } = inputs;
    if (!isFloat(x)) return undefined;
    const { keepDims } = attrs as { keepDims: boolean };
    const axis = (attrs.reductionIndices ?? attrs.axis) as number | number[] | undefined; // Max has its own name
    const axes = tf.util.parseAxisParam(axis ?? x.shape.map((_, d) => d), x.shape);
    const [kept, reduced] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const count = sizeOf(reduced);
    if (count === 0 && op !== SUM) return undefined;
    const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(kept, axes) : kept;
    return reduceAxes(backend, op, backend.floats(x), x.shape, axes, shape, mean ? 1 / count : 1);
  };
}

const softmax =
  (name: string, logarithm: boolean): NativeKernel =>
  ({ inputs, attrs, backend }) => {
    const x = inputs[name];
    if (!isFloat(x)) return undefined;
    const axis = (attrs.dim ?? attrs.axis ?? -1) as number;
    const rank = x.shape.length;
    if (rank === 0 || (axis !== -1 && axis !== rank - 1)) return undefined;
    const { info, array } = backend.create(x.shape);
    const width = x.shape[rank - 1]!;
    if (array.length > 0)
      backend.addon.softmax(backend.floats(x), array, array.length / width, width, logarithm);
    return info;
  };

export const reduceKernels: Kernels = {
  Sum: reduction(SUM),
  Mean: reduction(SUM, true),
  Max: reduction(MAX),
  Min: reduction(MIN),
  Softmax: softmax("logits", false),
  LogSoftmax: softmax("logits", true),
};
