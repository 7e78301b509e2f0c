/** Core's linear, activation, layer norm and squared error operations. */

import type * as tf from "@tensorflow/tfjs";
import type { Call, Kernels } from "./kernel.js";
import { clear, requireShapes, sizeOf } from "./kernel.js";
import { activationNumber, product } from "./matmul.js";

const optional = ({ backend }: Call, tensor: tf.TensorInfo | undefined) =>
  tensor === undefined ? null : backend.floats(tensor);

/** An absent tensor, or one of so many elements. */
const holds = (tensor: tf.TensorInfo | undefined, size: number) =>
  tensor === undefined || sizeOf(tensor.shape) === size;

/** [..., width] as rows. */
const rowsAndWidth = ({ shape }: tf.TensorInfo): [number, number] => [
  sizeOf(shape.slice(0, -1)),
  shape[shape.length - 1]!,
];

export const linearKernels: Kernels = {
  UnmaskLinear: (call) => {
    const { backend } = call;
    const { x, weight, bias, residual } = call.inputs;
    const activation = activationNumber(call.attrs.activation as string)!;
    const [rows, width] = rowsAndWidth(x!);
    const out = weight!.shape[0]!;
    requireShapes(
      weight!.shape[1] === width && holds(bias, out) && holds(residual, rows * out),
      () =>
        `UnmaskLinear: x [${x!.shape}], weight [${weight!.shape}], bias [${bias?.shape}] and residual [${residual?.shape}] do not fit`,
    );
    const shape = [...x!.shape.slice(0, -1), out];
    const y = backend.create(shape);
    const slope = activation === 0 || !call.attrs.slope ? undefined : backend.create(shape);
    product(backend, backend.floats(x!), false, backend.floats(weight!), true, y.array, [rows, out, width], {
      bias: optional(call, bias),
      activation,
      slope: slope?.array ?? null,
      residual: optional(call, residual),
    });
    return slope === undefined ? [y.info] : [y.info, slope.info];
  },

  UnmaskLinearGrad: (call) => {
    const { backend, attrs } = call;
    const { dy, x, weight, slope, inputSlope, extra } = call.inputs;
    const [rows, width] = rowsAndWidth(x!);
    const out = weight!.shape[0]!;
    requireShapes(
      weight!.shape[1] === width &&
        [dy, slope].every((tensor) => holds(tensor, rows * out)) &&
        [inputSlope, extra].every((tensor) => holds(tensor, rows * width)),
      () =>
        `UnmaskLinearGrad: dy [${dy!.shape}], x [${x!.shape}], weight [${weight!.shape}] and slope [${slope?.shape}] do not fit`,
    );
    let inner = backend.floats(dy!); // [R, O], gradient before the activation
    let scratch: tf.TensorInfo | undefined;
    if (slope !== undefined) {
      const scaled = backend.create([rows, out]);
      const flat = Int32Array.of(rows * out);
      const one = Int32Array.of(1);
      if (rows * out > 0)
        backend.addon.binary(MULTIPLY, inner, backend.floats(slope), scaled.array, 1, flat, one, one);
      inner = scaled.array;
      scratch = scaled.info;
    }
    const dweight = backend.create([out, width]);
    const dbias = attrs.bias ? backend.create([out]) : undefined;
    product(backend, inner, true, backend.floats(x!), false, dweight.array, [out, width, rows], {
      rowSums: dbias?.array ?? null,
    });
    if (dbias !== undefined && width === 0) clear(backend, dbias.array);
    const grads = dbias === undefined ? [dweight.info] : [dweight.info, dbias.info];
    if (attrs.input) {
      const dx = backend.create(x!.shape);
      product(backend, inner, false, backend.floats(weight!), false, dx.array, [rows, width, out], {
        factor: optional(call, inputSlope),
        residual: optional(call, extra),
      });
      grads.push(dx.info);
    }
    if (scratch !== undefined) backend.disposeIntermediateTensorInfo(scratch);
    return grads;
  },

  UnmaskActivation: ({ inputs, attrs, backend }) => {
    const x = inputs.x!;
    const kind = activationNumber(attrs.activation as string)!;
    const y = backend.create(x.shape);
    const slope = backend.create(x.shape);
    backend.addon.activation(kind, backend.floats(x), y.array, slope.array, sizeOf(x.shape));
    return [y.info, slope.info];
  },

  UnmaskLayerNorm: (call) => {
    const { backend, attrs } = call;
    const { x, weight, bias } = call.inputs;
    const [rows, width] = rowsAndWidth(x!);
    requireShapes(
      holds(weight, width) && holds(bias, width),
      () =>
        `UnmaskLayerNorm: x [${x!.shape}], weight [${weight?.shape}] and bias [${bias?.shape}] do not fit`,
    );
    const [y, mean, rstd] = [backend.create(x!.shape), backend.create([rows]), backend.create([rows])];
    backend.addon.layer_norm(
      ...([backend.floats(x!), optional(call, weight), optional(call, bias)] as const),
      ...([y.array, mean.array, rstd.array, rows, width, attrs.epsilon as number] as const),
    );
    return [y.info, mean.info, rstd.info];
  },

  UnmaskLayerNormGrad: (call) => {
    const { backend, attrs } = call;
    const { dy, x, mean, rstd, weight, extra } = call.inputs;
    const [rows, width] = rowsAndWidth(x!);
    requireShapes(
      [dy, extra].every((tensor) => holds(tensor, rows * width)) &&
        [mean, rstd].every((tensor) => holds(tensor, rows)) &&
        holds(weight, width),
      () =>
        `UnmaskLayerNormGrad: dy [${dy!.shape}], x [${x!.shape}] and weight [${weight?.shape}] do not fit`,
    );
    const dx = backend.create(x!.shape);
    const affine = attrs.affine ? [backend.create([width]), backend.create([width])] : [];
    backend.addon.layer_norm_grad(
      ...([backend.floats(dy!), backend.floats(x!), backend.floats(mean!), backend.floats(rstd!)] as const),
      ...([
        optional(call, weight),
        optional(call, extra),
        dx.array,
        affine[0]?.array ?? null,
        affine[1]?.array ?? null,
      ] as const),
      ...([rows, width] as const),
    );
    return [dx.info, ...affine.map((gradient) => gradient.info)];
  },

  UnmaskSquaredError: ({ inputs, backend }) => {
    const [x, target] = [inputs.x!, inputs.target!];
    const [rows, width] = rowsAndWidth(x);
    requireShapes(
      sizeOf(target.shape) === rows * width,
      () => `UnmaskSquaredError: x [${x.shape}] and target [${target.shape}] do not fit`,
    );
    const error = backend.create(x.shape.slice(0, -1));
    backend.addon.squared_error(backend.floats(x), backend.floats(target), error.array, rows, width);
    return [error.info];
  },

  UnmaskSquaredErrorGrad: ({ inputs, backend }) => {
    const [dy, x, target] = [inputs.dy!, inputs.x!, inputs.target!];
    const [rows, width] = rowsAndWidth(x);
    requireShapes(
      sizeOf(target.shape) === rows * width && sizeOf(dy.shape) === rows,
      () =>
        `UnmaskSquaredErrorGrad: dy [${dy.shape}], x [${x.shape}] and target [${target.shape}] do not fit`,
    );
    const dx = backend.create(x.shape);
    const [from, left, right] = [dy, x, target].map((tensor) => backend.floats(tensor));
    backend.addon.squared_error_grad(from!, left!, right!, dx.array, rows, width);
    return [dx.info];
  },
};

/** Place of `mul` in the list of binary operations. */
const MULTIPLY = 2;
