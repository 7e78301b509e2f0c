/** Resizing of images, channels last, with gradients; see cpp/kernels/resize.cc. */
import type * as tf from "@tensorflow/tfjs";
import type { Floats } from "../memory.js";
import { type Call, clear, isFloat, type Kernels, type NativeKernel, requireShapes } from "./kernel.js";

interface Options {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

interface Line {
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** Share of the second place. */
  readonly part: Float32Array;
}

const scale = (from: number, to: number, { alignCorners }: Options) =>
  alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;

/** The two places between which each of `to` places lies, in the arithmetic of tfjs. */
function between(from: number, to: number, options: Options): Line {
  const step = scale(from, to, options);
  const line = { low: new Int32Array(to), high: new Int32Array(to), part: new Float32Array(to) };
  for (let i = 0; i < to; i++) {
    const at = options.halfPixelCenters ? step * (i + 0.5) - 0.5 : step * i;
    line.low[i] = Math.max(0, Math.floor(at));
    line.high[i] = Math.max(0, Math.min(from - 1, Math.ceil(at)));
    line.part[i] = at - line.low[i]!;
  }
  return line;
}

function nearest(from: number, to: number, options: Options): Int32Array {
  const step = scale(from, to, options);
  return Int32Array.from({ length: to }, (_, i) => {
    const at = options.halfPixelCenters ? step * (i + 0.5) : step * i;
    return Math.max(0, Math.min(from - 1, options.alignCorners ? Math.round(at) : Math.floor(at)));
  });
}

type Size4 = readonly [number, number, number, number];

function optionsOf({ attrs }: Call): Options {
  return { alignCorners: attrs.alignCorners === true, halfPixelCenters: attrs.halfPixelCenters === true };
}

/** Runs `body` with the input's and output's sizes, unless one is empty. */
const resize =
  (
    body: (call: Call, images: tf.TensorInfo, y: Floats, size: readonly [number, number]) => void,
  ): NativeKernel =>
  (call) => {
    const { images } = call.inputs;
    if (!isFloat(images) || images.shape.length !== 4) return undefined;
    const [batch, height, width, channels] = images.shape as unknown as Size4;
    const [rows, columns] = call.attrs.size as [number, number];
    const { info, array } = call.backend.create([batch, rows, columns, channels]);
    if (array.length === 0) return info;
    requireShapes(height > 0 && width > 0, () => `resize: an image of ${height} x ${width} has no pixels`);
    body(call, images, array, [rows, columns]);
    return info;
  };

/** tfjs's gradients leave halfPixelCenters out of account; these are the gradients of what was computed. */
const gradient =
  (body: (call: Call, dy: tf.TensorInfo, dx: Floats, images: Size4) => void): NativeKernel =>
  (call) => {
    const { images, dy } = call.inputs;
    if (!isFloat(images) || !isFloat(dy) || dy.shape.length !== 4) return undefined;
    const shape = images.shape as unknown as Size4;
    requireShapes(
      dy.shape[0] === shape[0] && dy.shape[3] === shape[3],
      () => `resize: images [${shape}] and gradient [${dy.shape}] do not fit`,
    );
    const { info, array } = call.backend.create([...shape]);
    if (array.length === 0 || dy.shape.includes(0)) clear(call.backend, array);
    else body(call, dy, array, shape);
    return info;
  };

const sizes = ([batch, height, width, channels]: readonly number[], [rows, columns]: readonly number[]) =>
  Int32Array.of(batch!, height!, width!, channels!, rows!, columns!);

function lines(call: Call, [, height, width]: readonly number[], [rows, columns]: readonly number[]) {
  const options = optionsOf(call);
  const [down, across] = [between(height!, rows!, options), between(width!, columns!, options)];
  return [down.low, down.high, down.part, across.low, across.high, across.part] as const;
}

function places(call: Call, [, height, width]: readonly number[], [rows, columns]: readonly number[]) {
  const options = optionsOf(call);
  return [nearest(height!, rows!, options), nearest(width!, columns!, options)] as const;
}

export const resizeKernels: Kernels = {
  ResizeBilinear: resize((call, images, y, size) => {
    const x = call.backend.floats(images);
    call.backend.addon.resize_bilinear(x, y, sizes(images.shape, size), ...lines(call, images.shape, size));
  }),
  ResizeNearestNeighbor: resize((call, images, y, size) => {
    const x = call.backend.floats(images);
    call.backend.addon.resize_nearest(x, y, sizes(images.shape, size), ...places(call, images.shape, size));
  }),
  ResizeBilinearGrad: gradient((call, dy, dx, images) => {
    const size = dy.shape.slice(1, 3);
    const upstream = call.backend.floats(dy);
    call.backend.addon.resize_bilinear_grad(
      ...([upstream, dx, sizes(images, size), ...lines(call, images, size)] as const),
    );
  }),
  ResizeNearestNeighborGrad: gradient((call, dy, dx, images) => {
    const size = dy.shape.slice(1, 3);
    const upstream = call.backend.floats(dy);
    call.backend.addon.resize_nearest_grad(
      ...([upstream, dx, sizes(images, size), ...places(call, images, size)] as const),
    );
  }),
};
