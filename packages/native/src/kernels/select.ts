/** Which entries are largest or smallest, the largest in order, and one-hot rows; see cpp/kernels/select.cc. */
import * as tf from "@tensorflow/tfjs";
import { isFloat, type Kernels, type NativeKernel, sizeOf } from "./kernel.js";

/** Along the first of the axes, as tfjs has it. */
const best =
  (smallest: boolean): NativeKernel =>
  ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (!isFloat(x) || x.shape.length === 0) return undefined;
    const axes = tf.util.parseAxisParam(attrs.axis as number | number[], x.shape);
    const axis = axes[0]!;
    const n = x.shape[axis]!;
    if (axes.length !== 1 || n === 0) return undefined;
    const outer = sizeOf(x.shape.slice(0, axis));
    const inner = sizeOf(x.shape.slice(axis + 1));
    const { info, array } = backend.create(
      x.shape.filter((_, d) => d !== axis),
      "int32",
    );
    if (array.length > 0) backend.addon.arg_best(smallest, backend.floats(x), array, outer, n, inner);
    return info;
  };

export const selectKernels: Kernels = {
  ArgMax: best(false),
  ArgMin: best(true),

  TopK: ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (!isFloat(x) || x.shape.length === 0) return undefined;
    const n = x.shape[x.shape.length - 1]!;
    const k = attrs.k as number;
    if (k > n) return undefined;
    const shape = [...x.shape.slice(0, -1), k];
    const [values, index] = [backend.create(shape), backend.create(shape, "int32")];
    const rows = sizeOf(x.shape.slice(0, -1));
    if (values.array.length > 0)
      backend.addon.top_k(backend.floats(x), values.array, index.array, rows, n, k);
    return [values.info, index.info];
  },

  OneHot: ({ inputs, attrs, backend }) => {
    const indices = inputs.indices!;
    const { depth, onValue, offValue } = attrs as { depth: number; onValue: number; offValue: number };
    const dtype = (attrs.dtype as string | undefined) ?? "int32";
    if (indices.dtype !== "int32") return undefined;
    const index = backend.ints(indices);
    const shape = [...indices.shape, depth];
    if (dtype === "float32") {
      const { info, array } = backend.create(shape);
      backend.addon.one_hot_floats(index, array, index.length, depth, onValue, offValue);
      return info;
    }
    if (dtype !== "int32") return undefined;
    const { info, array } = backend.create(shape, "int32");
    backend.addon.one_hot_ints(index, array, index.length, depth, onValue, offValue);
    return info;
  },
};
