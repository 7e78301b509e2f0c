/** Batch normalisation, by statistics that are given and by those of the batch; see cpp/kernels/batch-norm.cc. */
import type * as tf from "@tensorflow/tfjs";
import type { Floats } from "../memory.js";
import { type Call, isFloat, type Kernels, requireShapes, sizeOf } from "./kernel.js";

/** The inputs of core's kernels, their shapes checked: the addon reads memory by them. */
function coreInputs(name: string, { inputs, backend }: Call) {
  const [rows, width] = inputs.x!.shape as [number, number];
  const sizes: Record<string, number> = { dy: rows * width, moments: 2 * width, active: rows };
  const floats = (input: string): Floats | undefined => {
    const tensor: tf.TensorInfo | undefined = inputs[input];
    if (tensor === undefined) return undefined;
    requireShapes(
      sizeOf(tensor.shape) === (sizes[input] ?? width),
      () => `${name}: ${input} [${tensor.shape}] does not fit x [${rows}, ${width}]`,
    );
    return backend.floats(tensor);
  };
  const active = floats("active") ?? null;
  return { x: backend.floats(inputs.x!), rows, width, active, floats };
}

/** What the moments make of every channel. */
function channels({ attrs, backend }: Call, moments: Floats, weight: Floats | undefined, width: number) {
  const [found, factors] = [moments, weight].map((memory) => memory && backend.elements(memory));
  const variance = found!.subarray(width);
  const rstd = variance.map((value) => 1 / Math.sqrt(value + (attrs.epsilon as number)));
  const factor = factors === undefined ? rstd : rstd.map((value, c) => value * factors[c]!);
  return {
    mean: backend.lend(found!.subarray(0, width)),
    rstd: backend.lend(rstd),
    factor: backend.lend(factor),
  };
}

export const batchNormKernels: Kernels = {
  UnmaskBatchMoments: (call) => {
    const { x, active, rows, width } = coreInputs("UnmaskBatchMoments", call);
    const moments = call.backend.create([2, width]);
    call.backend.addon.batch_moments(x, active, moments.array, rows, width);
    return [moments.info];
  },

  UnmaskBatchNorm: (call) => {
    const { backend } = call;
    const { x, active, rows, width, floats } = coreInputs("UnmaskBatchNorm", call);
    const { mean, factor } = channels(call, floats("moments")!, floats("weight"), width);
    const offset = floats("bias") ?? backend.lend(new Float32Array(width));
    const y = backend.create([rows, width]);
    backend.addon.batch_norm(x, mean, factor, offset, active, y.array, rows, width);
    return [y.info];
  },

  UnmaskBatchNormGrad: (call) => {
    const { backend } = call;
    const { x, active, rows, width, floats } = coreInputs("UnmaskBatchNormGrad", call);
    const { mean, rstd, factor } = channels(call, floats("moments")!, floats("weight"), width);
    const [dx, dweight, dbias] = [
      backend.create([rows, width]),
      backend.create([width]),
      backend.create([width]),
    ];
    backend.addon.batch_norm_grad(
      ...([floats("dy")!, x, mean, rstd, factor, active] as const),
      ...([dx.array, dweight.array, dbias.array, rows, width] as const),
    );
    return [dx.info, dweight.info, dbias.info];
  },

  FusedBatchNorm: ({ inputs, attrs, backend }) => {
    const { x, mean, variance, scale, offset } = inputs;
    if (!isFloat(x) || x.shape.length === 0) return undefined;
    const width = x.shape[x.shape.length - 1]!;
    const given = [mean, variance, scale, offset];
    // one value for each channel, or one for all; other shapes stay with tfjs
    const fits = given.every(
      (values) =>
        values === undefined ||
        values === null ||
        (isFloat(values) &&
          (sizeOf(values.shape) === 1 ||
            (sizeOf(values.shape) === width && values.shape[values.shape.length - 1] === width))),
    );
    const ranks = given.every((values) => !values || values.shape.length === mean!.shape.length);
    if (!fits || !ranks) return undefined;
    const [means, variances, scales, offsets] = given.map((values) =>
      values === undefined || values === null ? undefined : backend.elements(backend.floats(values)),
    );
    const of = (values: Float32Array | undefined, c: number, absent: number) =>
      values === undefined ? absent : values[values.length === 1 ? 0 : c]!;
    const epsilon = (attrs.varianceEpsilon as number | undefined) ?? 0.001;
    const each = (value: (c: number) => number) =>
      backend.lend(Float32Array.from({ length: width }, (_, c) => value(c)));
    const { info, array } = backend.create(x.shape);
    backend.addon.batch_norm(
      backend.floats(x),
      each((c) => of(means, c, 0)),
      each((c) => of(scales, c, 1) / Math.sqrt(of(variances, c, 0) + epsilon)),
      each((c) => of(offsets, c, 0)),
      null,
      array,
      width === 0 ? 0 : array.length / width,
      width,
    );
    return info;
  },
};
