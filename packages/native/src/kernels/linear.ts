/** Core's linear, activation and layer norm operations. */

import type * as tf from "@tensorflow/tfjs";
import type { Call, Kernels } from "./kernel.js";
import { requireShapes, sizeOf } from "./kernel.js";
import { activationNumber, product } from "./matmul.js";

const optional = ({ backend }: Call, tensor: tf.TensorInfo | undefined) =>
  tensor === undefined ? null : backend.floats(tensor);

/** An absent tensor, or one of so many elements. */
const holds = (tensor: tf.TensorInfo | undefined, size: number) =>
  tensor === undefined || sizeOf(tensor.shape) === size;

export const linearKernels: Kernels = {
  UnmaskLinear: (call) => {
    const { backend } = call;
    const { x, weight, bias, residual } = call.inputs;
    const activation = activationNumber(call.attrs.activation as string)!;
    const [rows, width] = x!.shape as [number, number];
    const out = weight!.shape[0]!;
    requireShapes(
      weight!.shape[1] === width && holds(bias, out) && holds(residual, rows * out),
      `UnmaskLinear: x [${x!.shape}], weight [${weight!.shape}], bias [${bias?.shape}] and residual [${residual?.shape}] do not fit`,
    );
    const y = backend.create([rows, out]);
    const slope = activation === 0 ? undefined : backend.create([rows, out]);
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
    const { dy, x, weight, slope } = call.inputs;
    const [rows, width] = x!.shape as [number, number];
    const out = weight!.shape[0]!;
    requireShapes(
      weight!.shape[1] === width && holds(dy, rows * out) && holds(slope, rows * out),
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
    if (dbias !== undefined && width === 0) dbias.array.fill(0);
    const grads = dbias === undefined ? [dweight.info] : [dweight.info, dbias.info];
    if (attrs.input) {
      const dx = backend.create([rows, width]);
      product(backend, inner, false, backend.floats(weight!), false, dx.array, [rows, width, out]);
      grads.push(dx.info);
    }
    if (scratch !== undefined) backend.disposeIntermediateTensorInfo(scratch);
    return grads;
  },

  UnmaskMlp: (call) => {
    const { backend } = call;
    const { x, weight1, bias1, weight2, bias2, residual } = call.inputs;
    const [rows, width] = x!.shape as [number, number];
    const [hidden, out] = [weight1!.shape[0]!, weight2!.shape[0]!];
    requireShapes(
      weight1!.shape[1] === width &&
        weight2!.shape[1] === hidden &&
        holds(bias1, hidden) &&
        holds(bias2, out) &&
        holds(residual, rows * out),
      `UnmaskMlp: x [${x!.shape}], weights [${weight1!.shape}] and [${weight2!.shape}], biases [${bias1?.shape}] and [${bias2?.shape}] and residual [${residual?.shape}] do not fit`,
    );
    const raw = backend.create([rows, hidden]);
    const value = backend.create([rows, hidden]);
    product(
      ...([backend, backend.floats(x!), false, backend.floats(weight1!), true, value.array] as const),
      ...([
        [rows, hidden, width],
        {
          bias: optional(call, bias1),
          activation: activationNumber(call.attrs.activation as string)!,
          raw: raw.array,
        },
      ] as const),
    );
    const y = backend.create([rows, out]);
    product(
      ...([backend, value.array, false, backend.floats(weight2!), true, y.array] as const),
      ...([
        [rows, out, hidden],
        { bias: optional(call, bias2), residual: optional(call, residual) },
      ] as const),
    );
    backend.disposeIntermediateTensorInfo(value.info);
    return [y.info, raw.info];
  },

  UnmaskMlpGrad: (call) => {
    const { backend, attrs } = call;
    const { dy, x, weight1, weight2, hidden: raw } = call.inputs;
    const [rows, width] = x!.shape as [number, number];
    const [hidden, out] = [weight1!.shape[0]!, weight2!.shape[0]!];
    requireShapes(
      weight1!.shape[1] === width &&
        weight2!.shape[1] === hidden &&
        holds(dy, rows * out) &&
        holds(raw, rows * hidden),
      `UnmaskMlpGrad: dy [${dy!.shape}], x [${x!.shape}], weights [${weight1!.shape}] and [${weight2!.shape}] and hidden [${raw!.shape}] do not fit`,
    );
    const upstream = backend.floats(dy!);
    const value = backend.create([rows, hidden]);
    const slope = backend.create([rows, hidden]);
    const activation = activationNumber(attrs.activation as string)!;
    backend.addon.activation(activation, backend.floats(raw!), value.array, slope.array, rows * hidden);

    const dweight2 = backend.create([out, hidden]);
    const dbias2 = attrs.bias2 ? backend.create([out]) : undefined;
    product(backend, upstream, true, value.array, false, dweight2.array, [out, hidden, rows], {
      rowSums: dbias2?.array ?? null,
    });
    backend.disposeIntermediateTensorInfo(value.info);

    const dhidden = backend.create([rows, hidden]);
    product(backend, upstream, false, backend.floats(weight2!), false, dhidden.array, [rows, hidden, out], {
      factor: slope.array,
    });
    backend.disposeIntermediateTensorInfo(slope.info);

    const dweight1 = backend.create([hidden, width]);
    const dbias1 = attrs.bias1 ? backend.create([hidden]) : undefined;
    product(backend, dhidden.array, true, backend.floats(x!), false, dweight1.array, [hidden, width, rows], {
      rowSums: dbias1?.array ?? null,
    });
    const dx = backend.create([rows, width]);
    product(backend, dhidden.array, false, backend.floats(weight1!), false, dx.array, [rows, width, hidden]);
    backend.disposeIntermediateTensorInfo(dhidden.info);
    return [
      dx.info,
      dweight1.info,
      ...(dbias1 ? [dbias1.info] : []),
      dweight2.info,
      ...(dbias2 ? [dbias2.info] : []),
    ];
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
    const [rows, width] = x!.shape as [number, number];
    requireShapes(
      holds(weight, width) && holds(bias, width),
      `UnmaskLayerNorm: x [${x!.shape}], weight [${weight?.shape}] and bias [${bias?.shape}] do not fit`,
    );
    const [y, mean, rstd] = [backend.create([rows, width]), backend.create([rows]), backend.create([rows])];
    backend.addon.layer_norm(
      ...([backend.floats(x!), optional(call, weight), optional(call, bias)] as const),
      ...([y.array, mean.array, rstd.array, rows, width, attrs.epsilon as number] as const),
    );
    return [y.info, mean.info, rstd.info];
  },

  UnmaskLayerNormGrad: (call) => {
    const { backend, attrs } = call;
    const { dy, x, mean, rstd, weight } = call.inputs;
    const [rows, width] = x!.shape as [number, number];
    requireShapes(
      holds(dy, rows * width) && holds(mean, rows) && holds(rstd, rows) && holds(weight, width),
      `UnmaskLayerNormGrad: dy [${dy!.shape}], x [${x!.shape}] and weight [${weight?.shape}] do not fit`,
    );
    const dx = backend.create([rows, width]);
    const affine = attrs.affine ? [backend.create([width]), backend.create([width])] : [];
    backend.addon.layer_norm_grad(
      ...([backend.floats(dy!), backend.floats(x!), backend.floats(mean!), backend.floats(rstd!)] as const),
      ...([
        optional(call, weight),
        null,
        dx.array,
        affine[0]?.array ?? null,
        affine[1]?.array ?? null,
      ] as const),
      ...([rows, width] as const),
    );
    return [dx.info, ...affine.map((gradient) => gradient.info)];
  },
};

/** Place of `mul` in the list of binary operations. */
const MULTIPLY = 2;
