/** Batch normalisation by statistics that are given. */
import { isFloat, type Kernels, sizeOf } from "./kernel.js";

export const batchNormKernels: Kernels = {
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
      values === undefined || values === null ? undefined : backend.floats(values),
    );
    const of = (values: Float32Array | undefined, c: number, absent: number) =>
      values === undefined ? absent : values[values.length === 1 ? 0 : c]!;
    const epsilon = (attrs.varianceEpsilon as number | undefined) ?? 0.001;
    const channels = (value: (c: number) => number) =>
      Float32Array.from({ length: width }, (_, c) => value(c));
    const { info, array } = backend.create(x.shape);
    backend.addon.batch_norm(
      backend.floats(x),
      channels((c) => of(means, c, 0)),
      channels((c) => of(scales, c, 1) / Math.sqrt(of(variances, c, 0) + epsilon)),
      channels((c) => of(offsets, c, 0)),
      array,
      width === 0 ? 0 : array.length / width,
      width,
    );
    return info;
  },
};
