/**
 * Convolution of [B, H, W, C] data with PyTorch's weights [O, C / groups, kh, kw], and its transpose. tfjs has no
 * gradient for dilated kernels, no groups, and on wasm no gradient by the kernel at all, so both gradients are
 * written here over forward convolutions and matrix products.
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { kernel } from "./kernel.js";

/** [rows, columns] */
export type Pair = readonly [number, number];

type Geometry = { stride: Pair; padding: Pair; dilation: Pair; groups: number };

/**
 * `UnmaskConv2d`: y = correlation of zero-padded x with weight.
 * inputs x [B, H, W, C], weight [O, C/groups, kh, kw]; attrs stride, padding, dilation, groups; outputs [y [B, H', W', O]].
 */
const convKernel = kernel<{ x: tf.Tensor; weight: tf.Tensor }, Geometry>(
  "UnmaskConv2d",
  ({ x, weight }, { stride, padding: [rows, columns], dilation, groups }) => {
    const padded = padImage(x, [rows, rows], [columns, columns]);
    return [correlate(padded, weight, stride, dilation, groups)];
  },
);

/**
 * `UnmaskConv2dInputGrad`: the gradient of `UnmaskConv2d` by x, which is also the transposed convolution.
 * inputs dy [B, H', W', O], weight [O, C/groups, kh, kw]; attrs stride, padding, dilation, groups, size [H, W];
 * outputs [dx [B, H, W, C]].
 */
const inputGradKernel = kernel<{ dy: tf.Tensor; weight: tf.Tensor }, Geometry & { size: Pair }>(
  "UnmaskConv2dInputGrad",
  ({ dy, weight }, { stride, padding, dilation, groups, size }) => {
    const spread = spreadOut(dy, stride); // the values of dy, stride apart
    const margin = ([0, 1] as const).map((axis) => {
      const reach = dilation[axis] * (weight.shape[2 + axis]! - 1);
      return [reach, size[axis] + 2 * padding[axis] - spread.shape[1 + axis]!];
    }) as unknown as [Pair, Pair];
    const padded = padImage(spread, ...margin);
    const dx = correlate(padded, turned(weight, groups), [1, 1], dilation, groups); // [B, H + 2 ph, W + 2 pw, C]
    return [tf.slice(dx, [0, padding[0], padding[1], 0], [-1, size[0], size[1], -1])];
  },
);

/**
 * `UnmaskConv2dWeightGrad`: the gradient of `UnmaskConv2d` by its weight.
 * inputs x [B, H, W, C], dy [B, H', W', O]; attrs stride, padding, dilation, groups, kernel [kh, kw];
 * outputs [dweight [O, C/groups, kh, kw]].
 */
const weightGradKernel = kernel<{ x: tf.Tensor; dy: tf.Tensor }, Geometry & { kernel: Pair }>(
  "UnmaskConv2dWeightGrad",
  ({ x, dy }, { stride, padding: [rows, columns], dilation, groups, kernel: size }) => {
    const padded = padImage(x, [rows, rows], [columns, columns]);
    const window = { stride, dilation, size };
    if (groups === x.shape[3]! && groups > 1) return [depthwiseWeightGrad(padded, dy, window)];
    const parts = perGroupOf(groups, [padded, 3], [dy, 3]).map(([part, dpart]) =>
      denseWeightGrad(part!, dpart!, window),
    );
    return [groups === 1 ? parts[0]! : tf.concat(parts, 0)];
  },
);

export interface ConvOptions {
  /** One number for both axes or [rows, columns]; default 1. */
  readonly stride?: number | Pair;
  /** Zeros on each side; default 0. */
  readonly padding?: number | Pair;
  /** Distance of kernel entries; default 1. */
  readonly dilation?: number | Pair;
  /** Groups of channels convolved apart, as many as channels for a depthwise convolution; default 1. */
  readonly groups?: number;
}

/**
 * Convolution (cross-correlation, as PyTorch's).
 * @param x [B, H, W, C]
 * @param weight [O, C / groups, kh, kw]
 * @returns [B, H', W', O], H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1
 */
export function conv2d(x: tf.Tensor, weight: tf.Tensor, options: ConvOptions = {}): tf.Tensor4D {
  const geometry = readGeometry(options);
  const { stride, padding, dilation, groups } = geometry;
  const kernelSize: Pair = [weight.shape[2]!, weight.shape[3]!];
  expect(
    x.rank === 4 &&
      weight.rank === 4 &&
      x.shape[3] === weight.shape[1]! * groups &&
      weight.shape[0]! % groups === 0,
    () =>
      `conv2d: weight [${weight.shape}] with ${groups} groups does not fit input [${x.shape}], channels last`,
  );
  const size: Pair = [x.shape[1]!, x.shape[2]!];
  expect(
    size.every((extent, axis) => extent + 2 * padding[axis]! > dilation[axis]! * (kernelSize[axis]! - 1)),
    () =>
      `conv2d: a kernel of ${kernelSize.join(" x ")} does not fit into ${size.join(" x ")}; pad the input or use a smaller kernel`,
  );
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const [input, w] = args as [tf.Tensor, tf.Tensor];
    save([input, w]);
    return {
      value: convKernel({ x: input, weight: w }, geometry)[0]!,
      gradFunc: (dy: tf.Tensor, [input, w]: tf.Tensor[]) => [
        inputGradKernel({ dy, weight: w! }, { stride, padding, dilation, groups, size })[0]!,
        weightGradKernel({ x: input!, dy }, { stride, padding, dilation, groups, kernel: kernelSize })[0]!,
      ],
    };
  });
  return op(x, weight) as tf.Tensor4D;
}

export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns added at the end, where several input sizes would give the same; default 0. */
  readonly outputPadding?: number | Pair;
}

/**
 * Transposed convolution: the gradient of `conv2d` by its input, as an operation of its own.
 * @param x [B, H, W, C]
 * @param weight [C, O / groups, kh, kw]
 * @returns [B, H', W', O], H' = (H - 1) stride - 2 padding + dilation (kh - 1) + outputPadding + 1
 */
export function convTranspose2d(
  x: tf.Tensor,
  weight: tf.Tensor,
  options: ConvTransposeOptions = {},
): tf.Tensor4D {
  const geometry = readGeometry(options);
  const { stride, padding, dilation, groups } = geometry;
  const extra = pair(options.outputPadding ?? 0);
  const kernelSize: Pair = [weight.shape[2]!, weight.shape[3]!];
  expect(
    x.rank === 4 && weight.rank === 4 && x.shape[3] === weight.shape[0] && weight.shape[0] % groups === 0,
    () =>
      `convTranspose2d: weight [${weight.shape}] with ${groups} groups does not fit input [${x.shape}], channels last`,
  );
  const size = ([0, 1] as const).map(
    (axis) =>
      (x.shape[1 + axis]! - 1) * stride[axis] -
      2 * padding[axis] +
      dilation[axis] * (kernelSize[axis] - 1) +
      extra[axis] +
      1,
  ) as unknown as Pair;
  expect(
    size.every((extent) => extent > 0) && extra.every((rows, axis) => rows < stride[axis]!),
    () =>
      `convTranspose2d: output of ${size.join(" x ")} with ${extra.join(" x ")} added; padding must leave something, and outputPadding be below the stride`,
  );
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const [input, w] = args as [tf.Tensor, tf.Tensor];
    save([input, w]);
    return {
      value: inputGradKernel({ dy: input, weight: w }, { ...geometry, size })[0]!,
      gradFunc: (dy: tf.Tensor, [input, w]: tf.Tensor[]) => [
        convKernel({ x: dy, weight: w! }, geometry)[0]!,
        weightGradKernel({ x: dy, dy: input! }, { ...geometry, kernel: kernelSize })[0]!,
      ],
    };
  });
  return op(x, weight) as tf.Tensor4D;
}

function readGeometry({ stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions): Geometry {
  return { stride: pair(stride), padding: pair(padding), dilation: pair(dilation), groups };
}

const pair = (value: number | Pair): Pair => (typeof value === "number" ? [value, value] : value);

/** Correlation without padding; the window moves by `stride`. */
function correlate(x: tf.Tensor, weight: tf.Tensor, stride: Pair, dilation: Pair, groups: number): tf.Tensor {
  const [out, perGroup] = weight.shape as [number, number, number, number];
  // tfjs takes a stride or a dilation, not both: zeros between the kernel's entries stand for the second.
  if (Math.max(...stride) > 1 && Math.max(...dilation) > 1)
    return correlate(
      x,
      spreadOut(weight.transpose([0, 2, 3, 1]), dilation).transpose([0, 3, 1, 2]),
      stride,
      [1, 1],
      groups,
    );
  const strides = [...stride] as [number, number];
  const dilations = [...dilation] as [number, number];
  if (perGroup === 1 && groups > 1) {
    const filter = weight.reshape([groups, out / groups, weight.shape[2]!, weight.shape[3]!]);
    return tf.depthwiseConv2d(
      x as tf.Tensor4D,
      filter.transpose([2, 3, 0, 1]) as tf.Tensor4D,
      strides,
      "valid",
      "NHWC",
      dilations,
    );
  }
  const parts = perGroupOf(groups, [x, 3], [weight, 0]).map(([part, w]) =>
    tf.conv2d(
      part as tf.Tensor4D,
      w!.transpose([2, 3, 1, 0]) as tf.Tensor4D,
      strides,
      "valid",
      "NHWC",
      dilations,
    ),
  );
  return groups === 1 ? parts[0]! : tf.concat(parts, 3);
}

/** Weight of the convolution that the gradient by the input is: [C, O/groups, kh, kw], turned by 180 degrees. */
function turned(weight: tf.Tensor, groups: number): tf.Tensor {
  const [out, perGroup, height, width] = weight.shape as [number, number, number, number];
  return tf
    .reverse(weight, [2, 3])
    .reshape([groups, out / groups, perGroup, height, width])
    .transpose([0, 2, 1, 3, 4])
    .reshape([groups * perGroup, out / groups, height, width]);
}

type Window = { stride: Pair; dilation: Pair; size: Pair };

/** [O, C, kh, kw] from x [B, H, W, C], padded already, and dy [B, H', W', O]. */
function denseWeightGrad(x: tf.Tensor, dy: tf.Tensor, window: Window): tf.Tensor {
  return entryByEntry(x, dy, window, (seen, dy) => tf.matMul(dy, seen, true, false));
}

/** [O, 1, kh, kw], each channel of x on its own. */
function depthwiseWeightGrad(x: tf.Tensor, dy: tf.Tensor, window: Window): tf.Tensor {
  const [channels, out] = [x.shape[3]!, dy.shape[3]!];
  return entryByEntry(x, dy, window, (seen, dy) => {
    const products = tf.mul(seen.expandDims(2), dy.reshape([-1, channels, out / channels]));
    return tf.sum(products, 0).reshape([out, 1]) as tf.Tensor2D;
  });
}

/** Gradient of each kernel entry ([O, ...] from rows [R, C] and [R, O]), put together as [O, ..., kh, kw]. */
function entryByEntry(
  x: tf.Tensor,
  dy: tf.Tensor,
  { stride, dilation, size }: Window,
  gradient: (seen: tf.Tensor2D, dy: tf.Tensor2D) => tf.Tensor2D,
): tf.Tensor {
  const [batch, height, width, out] = dy.shape as [number, number, number, number];
  const rows = dy.reshape([batch * height * width, out]) as tf.Tensor2D;
  const entries = Array.from({ length: size[0] * size[1] }, (_, at) =>
    tf.tidy(() => {
      const [top, left] = [Math.floor(at / size[1]) * dilation[0], (at % size[1]) * dilation[1]];
      const end = [
        batch,
        top + (height - 1) * stride[0] + 1,
        left + (width - 1) * stride[1] + 1,
        x.shape[3]!,
      ];
      const seen = tf.stridedSlice(x, [0, top, left, 0], end, [1, ...stride, 1]); // what this entry was multiplied with
      return gradient(seen.reshape([rows.shape[0], x.shape[3]!]), rows);
    }),
  );
  return tf.stack(entries, 2).reshape([out, entries[0]!.shape[1], ...size]);
}

/** The tensors cut into `groups` along the axis beside each, group by group. */
function perGroupOf(groups: number, ...tensors: readonly (readonly [tf.Tensor, number])[]): tf.Tensor[][] {
  const cut = tensors.map(([tensor, axis]) => (groups === 1 ? [tensor] : tf.split(tensor, groups, axis)));
  return Array.from({ length: groups }, (_, g) => cut.map((parts) => parts[g]!));
}

/** [B, H, W, C] -> [B, (H-1) s + 1, (W-1) s + 1, C] with zeros in between. */
function spreadOut(x: tf.Tensor, [rows, columns]: Pair): tf.Tensor {
  if (rows === 1 && columns === 1) return x;
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const wide = x.reshape([batch * height * width, channels]).pad([
    [0, 0],
    [0, (columns - 1) * channels],
  ]);
  const line = width * columns * channels;
  const tall = wide.reshape([batch * height, line]).pad([
    [0, 0],
    [0, (rows - 1) * line],
  ]);
  return tf.slice(
    tall.reshape([batch, height * rows, width * columns, channels]),
    [0, 0, 0, 0],
    [batch, (height - 1) * rows + 1, (width - 1) * columns + 1, channels],
  );
}

function padImage(x: tf.Tensor, rows: Pair, columns: Pair): tf.Tensor {
  if ([...rows, ...columns].every((count) => count === 0)) return x;
  return tf.pad(x, [[0, 0], [...rows], [...columns], [0, 0]]);
}
