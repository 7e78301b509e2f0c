/** Pooling of images and volumes, channels last, with gradients; see cpp/kernels/pool.cc. */
import * as tf from "@tensorflow/tfjs";
import { type Call, clear, isFloat, type Kernels, type NativeKernel } from "./kernel.js";

interface Geometry {
  readonly numbers: Int32Array;
  readonly output: number[];
  readonly same: boolean;
  readonly empty: boolean;
}

type Size4 = [number, number, number, number];
type Size5 = [number, number, number, number, number];

/** The fields of `PoolGeometry` in cpp/kernels/exports.h, and the shape of the result. */
function imageGeometry({ attrs }: Call, input: readonly number[]): Geometry {
  const info = tf.backend_util.computePool2DInfo(
    input as Size4,
    attrs.filterSize as number,
    attrs.strides as number,
    1,
    attrs.pad as "same",
    attrs.dimRoundingMode as "floor" | undefined,
  );
  return geometry(
    [info.batchSize, 1, info.inHeight, info.inWidth, info.inChannels],
    [1, info.outHeight, info.outWidth],
    [1, info.filterHeight, info.filterWidth],
    [1, info.strideHeight, info.strideWidth],
    [0, info.padInfo.top, info.padInfo.left],
    info.outShape,
  );
}

function volumeGeometry({ attrs }: Call, input: readonly number[]): Geometry | undefined {
  if ((attrs.dataFormat ?? "NDHWC") !== "NDHWC") return undefined;
  const info = tf.backend_util.computePool3DInfo(
    input as Size5,
    attrs.filterSize as number,
    attrs.strides as number,
    1,
    attrs.pad as "same",
    attrs.dimRoundingMode as "floor" | undefined,
  );
  return geometry(
    [info.batchSize, info.inDepth, info.inHeight, info.inWidth, info.inChannels],
    [info.outDepth, info.outHeight, info.outWidth],
    [info.filterDepth, info.filterHeight, info.filterWidth],
    [info.strideDepth, info.strideHeight, info.strideWidth],
    [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    info.outShape,
  );
}

function geometry(
  input: Size5,
  output: number[],
  kernel: number[],
  strides: number[],
  before: number[],
  shape: number[],
): Geometry {
  const same = kernel.every((n) => n === 1) && output.every((n, d) => n === input[1 + d]);
  const empty = [...input, ...output].some((n) => n === 0);
  return {
    numbers: Int32Array.of(...input, ...output, ...kernel, ...strides, ...before),
    output: shape,
    same,
    empty,
  };
}

const geometryOf = (call: Call, input: readonly number[]) =>
  input.length === 4 ? imageGeometry(call, input) : volumeGeometry(call, input);

const pool =
  (kind: "max" | "avg"): NativeKernel =>
  (call) => {
    const { backend, inputs } = call;
    const { x } = inputs;
    if (!isFloat(x)) return undefined;
    const found = geometryOf(call, x.shape);
    if (found === undefined || found.same) return undefined;
    const { info, array } = backend.create(found.output);
    if (array.length === 0) return info;
    if (kind === "max") backend.addon.max_pool(backend.floats(x), array, found.numbers);
    // tfjs gives 0 / 0 for a window outside an image, and 0 for one outside a volume
    else
      backend.addon.avg_pool(backend.floats(x), array, x.shape.length === 4 ? Number.NaN : 0, found.numbers);
    return info;
  };

const poolGradient =
  (kind: "max" | "avg"): NativeKernel =>
  (call) => {
    const { backend, inputs } = call;
    const { dy, input } = inputs;
    if (!isFloat(dy) || !isFloat(input)) return undefined;
    const found = geometryOf(call, input.shape);
    if (found === undefined || dy.shape.join() !== found.output.join()) return undefined;
    const { info, array } = backend.create(input.shape);
    if (found.empty) {
      clear(backend, array);
      return info;
    }
    const upstream = backend.floats(dy);
    // of equal values tfjs takes the first of an image's window and the last of a volume's
    const last = input.shape.length === 5;
    if (kind === "max")
      backend.addon.max_pool_grad(upstream, backend.floats(input), array, last, found.numbers);
    else backend.addon.avg_pool_grad(upstream, array, found.numbers);
    return info;
  };

export const poolKernels: Kernels = {
  MaxPool: pool("max"),
  MaxPool3D: pool("max"),
  MaxPoolGrad: poolGradient("max"),
  MaxPool3DGrad: poolGradient("max"),
  AvgPool: pool("avg"),
  AvgPool3D: pool("avg"),
  AvgPoolGrad: poolGradient("avg"),
  AvgPool3DGrad: poolGradient("avg"),
};
