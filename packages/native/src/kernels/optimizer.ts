/** Passes over all parameters at once. Inputs are numbered: p0, p1, ..., g0, g1, ... */
import type * as tf from "@tensorflow/tfjs";
import type { Call, Kernels } from "./kernel.js";
import { sizeOf } from "./kernel.js";

/** The inputs `prefix`0, `prefix`1, ... in order. */
function numbered({ inputs }: Call, prefix: string): tf.TensorInfo[] {
  const found: tf.TensorInfo[] = [];
  for (let i = 0; inputs[`${prefix}${i}`] !== undefined; i++) found.push(inputs[`${prefix}${i}`]!);
  return found;
}

const sizes = (tensors: readonly tf.TensorInfo[]) => Int32Array.from(tensors, ({ shape }) => sizeOf(shape));

function scalar({ backend }: Call, value: number): tf.TensorInfo {
  const { info, array } = backend.create([]);
  backend.addon.fill(array, 1, value);
  return info;
}

export const optimizerKernels: Kernels = {
  UnmaskAdamW: (call) => {
    const { backend, attrs } = call;
    const parameters = numbered(call, "p");
    const groups = ["g", "m", "v"].map((prefix) => numbered(call, prefix)) as [
      tf.TensorInfo[],
      tf.TensorInfo[],
      tf.TensorInfo[],
    ];
    const [gradients, first, second] = groups;
    const shapes = sizes(parameters);
    for (const group of groups)
      if (group.length !== parameters.length || sizes(group).some((size, i) => size !== shapes[i]))
        throw new Error("UnmaskAdamW: every parameter p needs g, m and v of its own size");
    const { beta1, beta2, step } = attrs as { beta1: number; beta2: number; step: number };
    const [lr, decay] = [attrs.lrs, attrs.weightDecays].map((values) =>
      Float64Array.from(values as number[]),
    ) as [Float64Array, Float64Array];
    if (lr.length !== parameters.length || decay.length !== parameters.length)
      throw new Error("UnmaskAdamW: lrs and weightDecays need one entry per parameter");
    backend.addon.adamw(
      parameters.map((p) => backend.owned(p)),
      gradients.map((g) => backend.floats(g)),
      first.map((m) => backend.owned(m)),
      second.map((v) => backend.owned(v)),
      ...([shapes, lr, decay, beta1, beta2, attrs.epsilon as number] as const),
      ...([1 - beta1 ** step, 1 - beta2 ** step, (attrs.gradScale as number | undefined) ?? 1] as const),
    );
    return scalar(call, step);
  },

  UnmaskEma: (call) => {
    const { backend, attrs } = call;
    const averages = numbered(call, "t");
    const parameters = numbered(call, "s");
    const shapes = sizes(averages);
    if (parameters.length !== averages.length || sizes(parameters).some((size, i) => size !== shapes[i]))
      throw new Error("UnmaskEma: every target t needs a source s of its own size");
    backend.addon.ema(
      averages.map((a) => backend.owned(a)),
      parameters.map((p) => backend.floats(p)),
      shapes,
      attrs.decay as number,
    );
    return scalar(call, attrs.decay as number);
  },

  UnmaskGradNorm: (call) => {
    const gradients = numbered(call, "g");
    const shapes = sizes(gradients);
    const chunks = shapes.reduce((count, size) => count + Math.ceil(size / 16384), 0);
    const arrays = gradients.map((g) => call.backend.floats(g));
    return scalar(call, call.backend.addon.norm(arrays, shapes, new Float64Array(Math.max(1, chunks))));
  },
};
