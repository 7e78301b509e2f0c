/** Convolutions with a filter for every channel, channels last, with their gradients; see cpp/kernels/depthwise.cc. */
import * as tf from "@tensorflow/tfjs";
import type { Created, NativeBackend } from "../backend.js";
import type { Floats } from "../memory.js";
import { type Call, clear, copyElements, isFloat, type Kernels, sizeOf } from "./kernel.js";
import { reduceAxes, SUM } from "./reduce.js";

export type Pair = readonly [number, number];
export type Size4 = readonly [number, number, number, number];

/** How the windows of a convolution lie on its input. */
export interface Windows {
  /** [B, H, W, C] */
  readonly input: Size4;
  /** [B, H', W', O] */
  readonly output: Size4;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Zeros above and to the left. */
  readonly before: Pair;
}

/** The fields of `Depthwise` in cpp/kernels/depthwise.h. */
function numbers({ input, output, kernel, stride, dilation, before }: Windows): Int32Array {
  const [batch, height, width] = input;
  const [, outHeight, outWidth, channels] = output;
  const sizes = [batch, height, width, channels, outHeight, outWidth];
  return Int32Array.of(...sizes, ...kernel, ...stride, ...dilation, ...before);
}

export const isEmpty = ({ input, output, kernel }: Windows) =>
  [...input, ...output, ...kernel].some((n) => n === 0);

/** Calls `body` with x where every channel stands as many times as it has filters. */
function withRepeats<T>(
  backend: NativeBackend,
  x: Floats,
  { input, output }: Windows,
  body: (x: Floats) => T,
): T {
  const filters = output[3] / input[3];
  if (filters === 1) return body(x);
  const places = sizeOf(input);
  const repeated = backend.create([places, filters]);
  copyElements(backend, [places, filters], x, 0, [1, 0], repeated.array, 0, [filters, 1]);
  const result = body(repeated.array);
  backend.disposeIntermediateTensorInfo(repeated.info);
  return result;
}

/** @param filter [kh, kw, O] */
export function depthwiseForward(
  backend: NativeBackend,
  x: Floats,
  filter: Floats,
  windows: Windows,
): tf.TensorInfo {
  const { info, array } = backend.create([...windows.output]);
  if (isEmpty(windows)) clear(backend, array);
  else
    withRepeats(backend, x, windows, (rows) =>
      backend.addon.depthwise(rows, filter, array, numbers(windows)),
    );
  return info;
}

export function depthwiseInputGradient(
  backend: NativeBackend,
  dy: Floats,
  filter: Floats,
  windows: Windows,
): tf.TensorInfo {
  const { input, output } = windows;
  const filters = output[3] / input[3];
  const { info, array } = backend.create(filters === 1 ? [...input] : [sizeOf(input), filters]);
  if (isEmpty(windows)) clear(backend, array);
  else backend.addon.depthwise_input_grad(dy, filter, array, numbers(windows));
  if (filters === 1) return info;
  const sum = reduceAxes(backend, SUM, array, [sizeOf(input), filters], [1], [...input]);
  backend.disposeIntermediateTensorInfo(info);
  return sum;
}

/** @param shape of kh * kw * O elements, in that order */
export function depthwiseFilterGradient(
  backend: NativeBackend,
  x: Floats,
  dy: Floats,
  windows: Windows,
  shape: number[],
): Created<Float32Array> {
  const created = backend.create(shape);
  if (isEmpty(windows)) clear(backend, created.array);
  else
    withRepeats(backend, x, windows, (rows) =>
      backend.addon.depthwise_filter_grad(rows, dy, created.array, numbers(windows)),
    );
  return created;
}

/** The windows of a call of tfjs's; `filter` is [kh, kw, C, O], of a depthwise convolution [kh, kw, C, O / C]. */
export function windowsOf(
  { attrs }: Call,
  input: readonly number[],
  filter: readonly number[],
  depthwise: boolean,
): Windows {
  const info = tf.backend_util.computeConv2DInfo(
    input as [number, number, number, number],
    filter as [number, number, number, number],
    attrs.strides as number,
    (attrs.dilations as number | undefined) ?? 1,
    attrs.pad as "same",
    attrs.dimRoundingMode as "floor" | undefined,
    depthwise,
  );
  return {
    input: [info.batchSize, info.inHeight, info.inWidth, info.inChannels],
    output: [info.batchSize, info.outHeight, info.outWidth, info.outChannels],
    kernel: [info.filterHeight, info.filterWidth],
    stride: [info.strideHeight, info.strideWidth],
    dilation: [info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.top, info.padInfo.left],
  };
}

/** A filter and a gradient that the windows fit; others are tfjs's to refuse. */
const fits = ({ input, output }: Windows, filter: readonly number[], dy?: tf.TensorInfo) =>
  filter[2] === input[3] && (dy === undefined || dy.shape.join() === output.join());

export const depthwiseKernels: Kernels = {
  DepthwiseConv2dNative: (call) => {
    const { x, filter } = call.inputs;
    if (!isFloat(x) || !isFloat(filter) || (call.attrs.dataFormat ?? "NHWC") !== "NHWC") return undefined;
    const { backend, attrs } = call;
    if (!tf.backend_util.eitherStridesOrDilationsAreOne(attrs.strides as number, attrs.dilations ?? 1))
      return undefined;
    const windows = windowsOf(call, x.shape, filter.shape, true);
    if (!fits(windows, filter.shape)) return undefined;
    return depthwiseForward(backend, backend.floats(x), backend.floats(filter), windows);
  },
  DepthwiseConv2dNativeBackpropInput: (call) => {
    const { backend, attrs } = call;
    const { dy, filter } = call.inputs;
    if (!isFloat(dy) || !isFloat(filter)) return undefined;
    const windows = windowsOf(call, attrs.inputShape as number[], filter.shape, true);
    if (!fits(windows, filter.shape, dy)) return undefined;
    return depthwiseInputGradient(backend, backend.floats(dy), backend.floats(filter), windows);
  },
  DepthwiseConv2dNativeBackpropFilter: (call) => {
    const { backend, attrs } = call;
    const { x, dy } = call.inputs;
    if (!isFloat(x) || !isFloat(dy)) return undefined;
    const shape = attrs.filterShape as number[];
    const windows = windowsOf(call, x.shape, shape, true);
    if (!fits(windows, shape, dy)) return undefined;
    return depthwiseFilterGradient(backend, backend.floats(x), backend.floats(dy), windows, shape).info;
  },
};
