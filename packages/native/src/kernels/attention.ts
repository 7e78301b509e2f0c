/** Core's attention operations; see `UnmaskAttention` in @unmask/core. */
import type * as tf from "@tensorflow/tfjs";
import type { Created, NativeBackend } from "../backend.js";
import type { Floats } from "../memory.js";
import { broadcastStrides, type Call, type Kernels, requireShapes, sizeOf } from "./kernel.js";
import { reduceAxes, SUM } from "./reduce.js";

/** Where queries, keys and values lie: in three tensors, or in one with rows [q | k | v]. */
interface Projections {
  readonly q: Floats;
  readonly k: Floats;
  readonly v: Floats;
  readonly offsets: readonly [number, number, number];
  readonly rows: { readonly q: number; readonly kv: number };
  readonly batch: number;
  readonly n: number;
  readonly m: number;
  readonly width: number;
}

/** The gradient's further inputs. */
function fitsOutput(
  { dout, out, lse }: Call["inputs"],
  batch: number,
  n: number,
  width: number,
  heads: number,
) {
  const full = [dout, out].every((x) => x === undefined || sizeOf(x.shape) === batch * n * width);
  return full && (lse === undefined || sizeOf(lse.shape) === batch * heads * n);
}

function projections({ inputs, attrs, backend }: Call): Projections {
  const { qkv } = inputs;
  if (qkv !== undefined) {
    const [batch, n, triple] = qkv.shape as [number, number, number];
    const all = backend.floats(qkv);
    const width = triple / 3;
    requireShapes(
      Number.isInteger(width / (attrs.heads as number)) &&
        fitsOutput(inputs, batch, n, width, attrs.heads as number),
      () => `attention: qkv [${qkv.shape}] is not [B, N, 3 * heads * width] for ${attrs.heads} heads`,
    );
    const rows = { q: triple, kv: triple };
    return { q: all, k: all, v: all, offsets: [0, width, 2 * width], rows, batch, n, m: n, width };
  }
  const [batch, n, width] = inputs.q!.shape as [number, number, number];
  const [q, k, v] = [inputs.q!, inputs.k!, inputs.v!].map((x) => backend.floats(x)) as [
    Floats,
    Floats,
    Floats,
  ];
  return {
    q,
    k,
    v,
    offsets: [0, 0, 0],
    rows: { q: width, kv: width },
    batch,
    n,
    m: inputs.k!.shape[1]!,
    width,
  };
}

function biasOf(backend: NativeBackend, bias: tf.TensorInfo | undefined, full: number[]) {
  if (bias === undefined) return { data: null, strides: null };
  requireShapes(
    bias.shape.length === 4 && bias.shape.every((size, d) => size === 1 || size === full[d]),
    () => `attention: bias [${bias.shape}] does not broadcast to [${full}]`,
  );
  return { data: backend.floats(bias), strides: Int32Array.from(broadcastStrides(bias.shape, full)) };
}

function forward(call: Call): tf.TensorInfo[] {
  const { backend, attrs, inputs } = call;
  const heads = attrs.heads as number;
  const { q, k, v, offsets, rows, batch, n, m, width } = projections(call);
  const bias = biasOf(backend, inputs.bias, [batch, heads, n, m]);
  const out = backend.create([batch, n, width]);
  const lse = backend.create([batch, heads, n]);
  backend.addon.attention(
    ...([q, offsets[0], rows.q, k, offsets[1], v, offsets[2], rows.kv] as const),
    ...([bias.data, bias.strides, out.array, lse.array] as const),
    ...([batch, heads, n, m, width / heads, attrs.scale as number] as const),
  );
  return [out.info, lse.info];
}

/** Gradients into arrays laid out as the inputs; then that of the bias, if wanted. */
function backward(call: Call, dq: Floats, dk: Floats, dv: Floats): tf.TensorInfo[] {
  const { backend, attrs, inputs } = call;
  const heads = attrs.heads as number;
  const { q, k, v, offsets, rows, batch, n, m, width } = projections(call);
  const full = [batch, heads, n, m];
  const bias = biasOf(backend, inputs.bias, full);
  const dlogits = attrs.biasGradient && inputs.bias !== undefined ? backend.create(full) : undefined;
  backend.addon.attention_grad(
    ...([
      backend.floats(inputs.dout!),
      q,
      offsets[0],
      rows.q,
      k,
      offsets[1],
      v,
      offsets[2],
      rows.kv,
    ] as const),
    ...([bias.data, bias.strides, backend.floats(inputs.out!), backend.floats(inputs.lse!)] as const),
    ...([dq, dk, dv, dlogits?.array ?? null] as const),
    ...([batch, heads, n, m, width / heads, attrs.scale as number] as const),
  );
  if (dlogits === undefined) return [];
  const { shape } = inputs.bias!;
  const axes = shape.flatMap((size, axis) => (size === 1 && full[axis] !== 1 ? [axis] : []));
  if (axes.length === 0) return [dlogits.info];
  const dbias = reduceAxes(backend, SUM, dlogits.array, full, axes, shape);
  backend.disposeIntermediateTensorInfo(dlogits.info);
  return [dbias];
}

export const attentionKernels: Kernels = {
  UnmaskAttention: forward,
  UnmaskSelfAttention: forward,
  UnmaskAttentionGrad: (call) => {
    const { q, k, v } = call.inputs;
    const [dq, dk, dv] = [q, k, v].map((x) => call.backend.create(x!.shape)) as [Grad, Grad, Grad];
    const dbias = backward(call, dq.array, dk.array, dv.array);
    return [dq.info, dk.info, dv.info, ...dbias];
  },
  UnmaskSelfAttentionGrad: (call) => {
    const dqkv = call.backend.create(call.inputs.qkv!.shape);
    return [dqkv.info, ...backward(call, dqkv.array, dqkv.array, dqkv.array)];
  },
};

type Grad = Created<Float32Array>;
