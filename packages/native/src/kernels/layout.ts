/** Moving elements: reshape, transpose, slice, concat, pad, tile, gather. */
import * as tf from "@tensorflow/tfjs";
import type { NativeBackend } from "../backend.js";
import type { Floats, Ints } from "../memory.js";
import {
  copyElements,
  isFloat,
  isStored,
  type Kernels,
  memoryOf,
  requireShapes,
  sizeOf,
  stridesOf,
} from "./kernel.js";

/** A tensor of another shape with the same data. */
function alias(backend: NativeBackend, { dataId, dtype }: tf.TensorInfo, shape: number[]) {
  if (!isStored(dtype)) return undefined;
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

export const layoutKernels: Kernels = {
  Identity: ({ inputs, backend }) => alias(backend, inputs.x!, inputs.x!.shape),

  Reshape: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    const size = sizeOf(x.shape);
    const shape = tf.util.inferFromImplicitShape(attrs.shape as number[], size);
    requireShapes(sizeOf(shape) === size, () => `reshape: [${x.shape}] does not have the size of [${shape}]`);
    return alias(backend, x, shape);
  },

  Transpose: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    if (!isStored(x.dtype)) return undefined;
    const perm = attrs.perm as number[];
    const shape = perm.map((d) => x.shape[d]!);
    const own = stridesOf(x.shape);
    const { info, array } = backend.create(shape, x.dtype);
    const strides = perm.map((d) => own[d]!);
    copyElements(backend, shape, memoryOf(backend, x), 0, strides, array, 0, stridesOf(shape));
    return info;
  },

  Slice: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    if (!isStored(x.dtype)) return undefined;
    const [begin, size] = tf.slice_util.parseSliceParams(
      x as tf.Tensor,
      attrs.begin as number | number[],
      attrs.size as number | number[] | undefined,
    );
    tf.slice_util.assertParamsValid(x as tf.Tensor, begin!, size!);
    const own = stridesOf(x.shape);
    const offset = begin!.reduce((sum, start, d) => sum + start * own[d]!, 0);
    const { info, array } = backend.create(size!, x.dtype);
    copyElements(backend, size!, memoryOf(backend, x), offset, own, array, 0, stridesOf(size!));
    return info;
  },

  Concat: ({ inputs, attrs, backend }) => {
    const parts = Object.values(inputs) as tf.TensorInfo[];
    const { dtype, shape } = parts[0]!;
    if (!isStored(dtype) || parts.some((part) => part.dtype !== dtype)) return undefined;
    const axis = tf.util.parseAxisParam(attrs.axis as number, shape)[0]!;
    const shapes = parts.map((part) => part.shape);
    tf.backend_util.assertParamsConsistent(shapes, axis);
    const joined = tf.backend_util.computeOutShape(shapes, axis);
    const { info, array } = backend.create(joined, dtype);
    const strides = stridesOf(joined);
    let at = 0;
    for (const part of parts) {
      const own = stridesOf(part.shape);
      copyElements(backend, part.shape, memoryOf(backend, part), 0, own, array, at * strides[axis]!, strides);
      at += part.shape[axis]!;
    }
    return info;
  },

  SplitV: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    if (!isStored(x.dtype)) return undefined;
    const axis = tf.util.parseAxisParam(attrs.axis as number, x.shape)[0]!;
    const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, attrs.numOrSizeSplits as number[], axis);
    const own = stridesOf(x.shape);
    let at = 0;
    return sizes.map((size) => {
      const shape = x.shape.map((n, d) => (d === axis ? size : n));
      const { info, array } = backend.create(shape, x.dtype as "float32");
      copyElements(backend, shape, memoryOf(backend, x), at * own[axis]!, own, array, 0, stridesOf(shape));
      at += size;
      return info;
    });
  },

  Unpack: ({ inputs, attrs, backend }) => {
    const x = inputs.value!;
    if (!isStored(x.dtype)) return undefined;
    const axis =
      (attrs.axis as number) < 0 ? (attrs.axis as number) + x.shape.length : (attrs.axis as number);
    const own = stridesOf(x.shape);
    const shape = x.shape.filter((_, d) => d !== axis);
    const strides = own.filter((_, d) => d !== axis);
    return Array.from({ length: x.shape[axis]! }, (_, i) => {
      const { info, array } = backend.create(shape, x.dtype as "float32");
      copyElements(backend, shape, memoryOf(backend, x), i * own[axis]!, strides, array, 0, stridesOf(shape));
      return info;
    });
  },

  PadV2: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    if (!isFloat(x)) return undefined;
    const paddings = attrs.paddings as [number, number][];
    const shape = x.shape.map((n, d) => n + paddings[d]![0] + paddings[d]![1]);
    const strides = stridesOf(shape);
    const { info, array } = backend.create(shape);
    backend.addon.fill(array, array.length, attrs.constantValue as number);
    const offset = paddings.reduce((sum, [before], d) => sum + before * strides[d]!, 0);
    copyElements(backend, x.shape, backend.floats(x), 0, stridesOf(x.shape), array, offset, strides);
    return info;
  },

  Tile: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    if (!isStored(x.dtype)) return undefined;
    const reps = attrs.reps as number[];
    if (reps.length !== x.shape.length) return undefined;
    const shape = x.shape.map((n, d) => n * reps[d]!);
    const { info, array } = backend.create(shape, x.dtype);
    // Every axis as a pair (repetition, element): the source stands still along the first.
    const pairs = x.shape.flatMap((n, d) => [reps[d]!, n]);
    const from = stridesOf(x.shape).flatMap((stride) => [0, stride]);
    copyElements(backend, pairs, memoryOf(backend, x), 0, from, array, 0, stridesOf(pairs));
    return info;
  },

  Reverse: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    if (!isStored(x.dtype) || x.shape.length === 0) return undefined;
    const dims = tf.util.parseAxisParam(attrs.dims as number | number[], x.shape);
    const own = stridesOf(x.shape);
    const offset = dims.reduce((sum, d) => sum + Math.max(0, x.shape[d]! - 1) * own[d]!, 0);
    const strides = own.map((stride, d) => (dims.includes(d) ? -stride : stride));
    const { info, array } = backend.create(x.shape, x.dtype);
    copyElements(backend, x.shape, memoryOf(backend, x), offset, strides, array, 0, own);
    return info;
  },

  GatherV2: ({ inputs, attrs, backend }) => {
    const { x, indices } = inputs;
    if (!isFloat(x) || indices!.dtype !== "int32") return undefined;
    const axis = tf.util.parseAxisParam(attrs.axis as number, x.shape)[0]!;
    const index = backend.ints(indices!);
    if (backend.elements(index).some((i) => i < 0)) return undefined; // tfjs's kernel reports it
    const batchDims = (attrs.batchDims as number | undefined) ?? 0;
    const form = tf.backend_util.segment_util.collectGatherOpShapeInfo(
      x as tf.Tensor,
      indices as tf.Tensor,
      axis,
      batchDims,
    );
    const { batchSize, outerSize, dimSize, sliceSize } = form;
    const selected = batchSize === 0 ? 0 : index.length / batchSize;
    const { info, array } = backend.create(form.outputShape);
    const source = backend.floats(x);
    if (array.length === 0) return info;
    const bad = backend.addon.gather_rows(
      ...([source, index, null, array, batchSize, outerSize, dimSize, selected, sliceSize] as const),
    );
    if (bad === 0) return info;
    backend.disposeIntermediateTensorInfo(info);
    return undefined;
  },

  UnmaskTakeRows: ({ inputs, backend }) => [
    takeRows(backend, "UnmaskTakeRows", inputs.x!, inputs.index!, inputs.fill),
  ],
  UnmaskGatherAny: ({ inputs, backend }) => [takeRows(backend, "UnmaskGatherAny", inputs.x!, inputs.index!)],

  UnmaskSegmentSum: ({ inputs, attrs, backend }) => {
    const [rows, width] = inputs.x!.shape as [number, number];
    const count = attrs.count as number;
    requireShapes(
      sizeOf(inputs.segments!.shape) === rows,
      () => `UnmaskSegmentSum: expected ${rows} segments, got [${inputs.segments!.shape}]`,
    );
    const [source, segments] = [backend.floats(inputs.x!), backend.ints(inputs.segments!)];
    return [segmentSum(backend, source, segments, width, [count, width])];
  },
};

/** Sums of the rows of `x` that share a segment: a new tensor of shape `result`. */
export function segmentSum(
  backend: NativeBackend,
  x: Floats,
  segments: Ints,
  width: number,
  result: number[],
): tf.TensorInfo {
  const [rows, count] = [segments.length, sizeOf(result.slice(0, -1))];
  const { info, array } = backend.create(result);
  const [order, starts] = [backend.create([rows], "int32"), backend.create([count + 1], "int32")];
  backend.addon.segment_sum(x, segments, array, order.array, starts.array, rows, count, width);
  backend.disposeIntermediateTensorInfo(order.info);
  backend.disposeIntermediateTensorInfo(starts.info);
  return info;
}

function takeRows(
  backend: NativeBackend,
  name: string,
  x: tf.TensorInfo,
  index: tf.TensorInfo,
  fill?: tf.TensorInfo,
): tf.TensorInfo {
  const [rows, width] = x.shape as [number, number];
  const selected = sizeOf(index.shape);
  requireShapes(
    fill === undefined || sizeOf(fill.shape) === width,
    () => `${name}: expected ${width} values to fill with, got [${fill?.shape}]`,
  );
  const { info, array } = backend.create([selected, width]);
  const blank = fill === undefined ? null : backend.floats(fill);
  if (
    backend.addon.gather_rows(
      backend.floats(x),
      backend.ints(index),
      blank,
      array,
      1,
      1,
      rows,
      selected,
      width,
    ) !== 0
  )
    throw new Error(`${name}: an index is outside 0..${rows - 1}`);
  return info;
}
