/** Two-dimensional convolutions, channels last, with their gradients. */
import type * as tf from "@tensorflow/tfjs";
import type { NativeBackend } from "../backend.js";
import type { Floats } from "../memory.js";
import {
  depthwiseFilterGradient,
  depthwiseForward,
  depthwiseInputGradient,
  isEmpty,
  type Pair,
  type Size4,
  type Windows,
  windowsOf,
} from "./depthwise.js";
import { type Call, clear, copyElements, isFloat, type Kernels, requireShapes, stridesOf } from "./kernel.js";

interface Geometry extends Windows {
  readonly groups: number;
}

/** A filter of its own for every channel. */
const isDepthwise = ({ input, output, groups }: Geometry) =>
  groups > 1 && groups === input[3] && output[3] % groups === 0;

/** The fields of `ConvGeometry` in cpp/kernels/exports.h. */
function numbers({ input, output, kernel, stride, dilation, before, groups }: Geometry): Int32Array {
  return Int32Array.of(...input, ...output.slice(1), ...kernel, ...stride, ...dilation, ...before, groups);
}

/**
 * Copies between [O, C/groups, kh, kw], core's layout, and the addon's: [groups, kh, kw, C/groups, O/groups], or
 * [kh, kw, O] where every channel has a filter of its own.
 */
function convertFilter(
  backend: NativeBackend,
  from: Floats,
  to: Floats,
  geometry: Geometry,
  direction: "in" | "out",
): void {
  const { output, input, kernel } = geometry;
  const groups = isDepthwise(geometry) ? 1 : geometry.groups;
  const [out, perGroup] = [output[3] / groups, input[3] / geometry.groups];
  const shape = [groups, kernel[0], kernel[1], perGroup, out];
  const area = kernel[0] * kernel[1];
  const outside = [out * perGroup * area, kernel[1], 1, area, perGroup * area];
  const inside = stridesOf(shape);
  const [source, target] = direction === "in" ? [outside, inside] : [inside, outside];
  copyElements(backend, shape, from, 0, source, to, 0, target);
}

function forward(backend: NativeBackend, x: Floats, filter: Floats, geometry: Geometry): tf.TensorInfo {
  if (isDepthwise(geometry)) return depthwiseForward(backend, x, filter, geometry);
  const { info, array } = backend.create([...geometry.output]);
  if (isEmpty(geometry)) clear(backend, array);
  else backend.addon.conv2d(x, filter, array, numbers(geometry));
  return info;
}

function inputGradient(backend: NativeBackend, dy: Floats, filter: Floats, geometry: Geometry) {
  if (isDepthwise(geometry)) return depthwiseInputGradient(backend, dy, filter, geometry);
  const { info, array } = backend.create([...geometry.input]);
  if (isEmpty(geometry)) clear(backend, array);
  else backend.addon.conv2d_input_grad(dy, filter, array, numbers(geometry));
  return info;
}

function filterGradient(backend: NativeBackend, x: Floats, dy: Floats, geometry: Geometry, shape: number[]) {
  if (isDepthwise(geometry)) return depthwiseFilterGradient(backend, x, dy, geometry, shape);
  const created = backend.create(shape);
  if (isEmpty(geometry)) clear(backend, created.array);
  else backend.addon.conv2d_filter_grad(x, dy, created.array, numbers(geometry));
  return created;
}

// ---- core's operations ----

interface CoreAttrs {
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
}

const coreGeometry = (attrs: object, input: Size4, output: Size4, kernel: Pair): Geometry => {
  const { stride, padding, dilation, groups } = attrs as CoreAttrs;
  return { input, output, kernel, stride, dilation, before: padding, groups };
};

const outputExtent = (size: number, kernel: number, stride: number, padding: number, dilation: number) =>
  Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;

/** The addon reads memory by these numbers. */
function check(
  name: string,
  { input, output, kernel, stride, dilation, before, groups }: Geometry,
  weight: number[],
) {
  const axes = [0, 1] as const;
  const fits = axes.every(
    (d) => output[1 + d] === outputExtent(input[1 + d]!, kernel[d], stride[d], before[d], dilation[d]),
  );
  const channels = weight[0] === output[3] && weight[1]! * groups === input[3] && output[3] % groups === 0;
  requireShapes(
    fits && channels && input[0] === output[0],
    () => `${name}: input [${input}], output [${output}] and weight [${weight}] do not fit`,
  );
}

/** Calls `body` with the weight in the addon's layout. */
function withFilter(
  backend: NativeBackend,
  weight: tf.TensorInfo,
  geometry: Geometry,
  body: (filter: Floats) => tf.TensorInfo,
) {
  const filter = backend.create(weight.shape);
  convertFilter(backend, backend.floats(weight), filter.array, geometry, "in");
  const result = body(filter.array);
  backend.disposeIntermediateTensorInfo(filter.info);
  return [result];
}

const coreKernels: Kernels = {
  UnmaskConv2d: ({ inputs, attrs, backend }) => {
    const [x, weight] = [inputs.x!, inputs.weight!];
    const input = x.shape as unknown as Size4;
    const [out, , rows, columns] = weight.shape as unknown as Size4;
    const { stride, padding, dilation } = attrs as CoreAttrs;
    const height = outputExtent(input[1], rows, stride[0], padding[0], dilation[0]);
    const width = outputExtent(input[2], columns, stride[1], padding[1], dilation[1]);
    const geometry = coreGeometry(attrs, input, [input[0], height, width, out], [rows, columns]);
    check("UnmaskConv2d", geometry, weight.shape);
    return withFilter(backend, weight, geometry, (filter) =>
      forward(backend, backend.floats(x), filter, geometry),
    );
  },
  UnmaskConv2dInputGrad: ({ inputs, attrs, backend }) => {
    const [dy, weight] = [inputs.dy!, inputs.weight!];
    const output = dy.shape as unknown as Size4;
    const [, perGroup, rows, columns] = weight.shape as unknown as Size4;
    const [height, width] = attrs.size as Pair;
    const channels = perGroup * (attrs.groups as number);
    const geometry = coreGeometry(attrs, [output[0], height, width, channels], output, [rows, columns]);
    check("UnmaskConv2dInputGrad", geometry, weight.shape);
    return withFilter(backend, weight, geometry, (filter) =>
      inputGradient(backend, backend.floats(dy), filter, geometry),
    );
  },
  UnmaskConv2dWeightGrad: ({ inputs, attrs, backend }) => {
    const [x, dy] = [inputs.x!, inputs.dy!];
    const [input, output] = [x.shape, dy.shape] as unknown as [Size4, Size4];
    const kernel = attrs.kernel as Pair;
    const geometry = coreGeometry(attrs, input, output, kernel);
    const shape = [output[3], input[3] / geometry.groups, ...kernel];
    check("UnmaskConv2dWeightGrad", geometry, shape);
    const found = filterGradient(backend, backend.floats(x), backend.floats(dy), geometry, shape);
    const weight = backend.create(shape);
    convertFilter(backend, found.array, weight.array, geometry, "out");
    backend.disposeIntermediateTensorInfo(found.info);
    return [weight.info];
  },
};

// ---- tfjs's kernels ----

/** The geometry of a call of tfjs's, or undefined for one that stays with tfjs: channels first, odd shapes. */
function geometryOf(call: Call, input: number[], filter: number[]): Geometry | undefined {
  const { attrs, inputs } = call;
  if (attrs.dataFormat !== undefined && attrs.dataFormat !== "NHWC") return undefined;
  const geometry = { ...windowsOf(call, input, filter, false), groups: 1 };
  const { dy } = inputs;
  return dy !== undefined && dy.shape.join() !== geometry.output.join() ? undefined : geometry;
}

const tfjsKernels: Kernels = {
  Conv2D: (call) => {
    const { x, filter } = call.inputs;
    if (!isFloat(x) || !isFloat(filter)) return undefined;
    const geometry = geometryOf(call, x.shape, filter.shape);
    return geometry && forward(call.backend, call.backend.floats(x), call.backend.floats(filter), geometry);
  },
  Conv2DBackpropInput: (call) => {
    const { dy, filter } = call.inputs;
    if (!isFloat(dy) || !isFloat(filter)) return undefined;
    const geometry = geometryOf(call, call.attrs.inputShape as number[], filter.shape);
    return (
      geometry && inputGradient(call.backend, call.backend.floats(dy), call.backend.floats(filter), geometry)
    );
  },
  Conv2DBackpropFilter: (call) => {
    const { x, dy } = call.inputs;
    if (!isFloat(x) || !isFloat(dy)) return undefined;
    const shape = call.attrs.filterShape as number[];
    const geometry = geometryOf(call, x.shape, shape);
    return (
      geometry &&
      filterGradient(call.backend, call.backend.floats(x), call.backend.floats(dy), geometry, shape).info
    );
  },
};

export const convKernels: Kernels = { ...coreKernels, ...tfjsKernels };
