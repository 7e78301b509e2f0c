/** Matrix products. */
import type * as tf from "@tensorflow/tfjs";
import type { NativeBackend } from "../backend.js";
import type { Floats } from "../memory.js";
import { type Call, isFloat, type Kernels, sizeOf } from "./kernel.js";

/** Order of `Activation` in cpp/kernels/gemm.h. */
const activations = ["none", "gelu", "gelu-tanh", "relu", "relu6", "elu", "sigmoid", "leakyrelu", "tanh"];

/** The number of an activation by its name here, in tfjs or in core's ops; undefined for one the addon lacks. */
export function activationNumber(name: string | undefined): number | undefined {
  if (name === undefined || name === null || name === "linear") return 0;
  const number = activations.indexOf(name);
  return number < 0 ? undefined : number;
}

export interface Epilogue {
  readonly alpha?: number;
  readonly bias?: Floats | null;
  readonly activation?: number;
  readonly leak?: number;
  readonly slope?: Floats | null;
  readonly factor?: Floats | null;
  readonly residual?: Floats | null;
  readonly rowSums?: Floats | null;
}

/** c [m, n] = epilogue(a b); `aT` says that a is stored [k, m], `bT` that b is stored [n, k]. */
export function product(
  backend: NativeBackend,
  a: Floats,
  aT: boolean,
  b: Floats,
  bT: boolean,
  c: Floats,
  [m, n, k]: readonly [number, number, number],
  epilogue: Epilogue = {},
  batch = 1,
  aBatch = 0,
  bBatch = 0,
): void {
  const {
    alpha = 1,
    bias = null,
    activation = 0,
    leak = 0,
    slope = null,
    factor = null,
    residual = null,
    rowSums = null,
  } = epilogue;
  const [aRow, aColumn] = aT ? [1, m] : [k, 1];
  const [bRow, bColumn] = bT ? [1, k] : [n, 1];
  backend.addon.matmul(
    ...([a, 0, aRow, aColumn, aBatch, b, 0, bRow, bColumn, bBatch, c, batch, m, n, k] as const),
    ...([alpha, bias, activation, leak, slope, factor, residual, rowSums] as const),
  );
}

function matMul({ inputs, attrs, backend }: Call, epilogue: Epilogue = {}): tf.TensorInfo | undefined {
  const { a, b } = inputs;
  if (!isFloat(a) || !isFloat(b) || a.shape.length < 2 || b.shape.length < 2) return undefined;
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number];
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number];
  const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [inner, n] = transposeB ? [bColumns, bRows] : [bRows, bColumns];
  const aBatch = sizeOf(a.shape.slice(0, -2));
  const bBatch = sizeOf(b.shape.slice(0, -2));
  if (k !== inner || (aBatch !== bBatch && aBatch !== 1 && bBatch !== 1)) return undefined;
  const outer =
    a.shape.length > b.shape.length || (a.shape.length === b.shape.length && aBatch >= bBatch) ? a : b;
  const batch = aBatch === 0 || bBatch === 0 ? 0 : Math.max(aBatch, bBatch);
  if (sizeOf(outer.shape.slice(0, -2)) !== batch) return undefined;
  const { info, array } = backend.create([...outer.shape.slice(0, -2), m, n]);
  const strideA = aBatch === 1 ? 0 : m * k;
  const strideB = bBatch === 1 ? 0 : k * n;
  const [aData, bData] = [backend.floats(a), backend.floats(b)];
  product(backend, aData, transposeA, bData, transposeB, array, [m, n, k], epilogue, batch, strideA, strideB);
  return info;
}

export const matmulKernels: Kernels = {
  BatchMatMul: (call) => matMul(call),
  _FusedMatMul: (call) => {
    const { bias, preluActivationWeights, b } = call.inputs;
    const activation = activationNumber(call.attrs.activation as string | undefined);
    if (activation === undefined || preluActivationWeights || !b) return undefined;
    const columns = call.attrs.transposeB ? b.shape[b.shape.length - 2] : b.shape[b.shape.length - 1];
    const alongColumns =
      !bias ||
      (isFloat(bias) && sizeOf(bias.shape) === columns && bias.shape[bias.shape.length - 1] === columns);
    if (!alongColumns) return undefined;
    return matMul(call, {
      bias: bias ? call.backend.floats(bias) : null,
      activation,
      leak: (call.attrs.leakyreluAlpha as number | undefined) ?? 0.2,
    });
  },
};
