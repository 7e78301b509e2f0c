/** Loads the compiled addon: a prebuilt one that fits this platform, or the one compiled on installation. */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import INTERFACE from "../cpp/interface.json" with { type: "json" };
import type { Bytes, Floats, Ints, Memory, Storage } from "./memory.js";

/** Of the rows, then of the columns: both places and the share of the second. */
type Lines = [Int32Array, Int32Array, Float32Array, Int32Array, Int32Array, Float32Array];

/**
 * The functions of cpp/kernels/exports.h; an absent tensor is null. Those that exports.cc lists so run when their turn
 * comes, on another thread; lists that JavaScript makes for a call are copied.
 */
export interface Addon {
  readonly isa: string;
  /** What matrix products are computed in; "bfloat16" where UNMASK_BF16 asked for it. */
  readonly products: "float32" | "bfloat16";
  /** Which declarations of cpp/kernels/exports.h it was compiled from. */
  readonly interface?: string;
  threads(): number;
  setThreads(count: number): void;
  /** Returns when all kernels that were called have run. */
  finish(): void;
  /** 64-byte aligned, uninitialised. */
  buffer(bytes: number): ArrayBuffer;
  matmul(
    a: Floats,
    aOffset: number,
    aRow: number,
    aColumn: number,
    aBatch: number,
    b: Floats,
    bOffset: number,
    bRow: number,
    bColumn: number,
    bBatch: number,
    c: Floats,
    batch: number,
    m: number,
    n: number,
    k: number,
    alpha: number,
    bias: Floats | null,
    activation: number,
    leak: number,
    slope: Floats | null,
    factor: Floats | null,
    residual: Floats | null,
    rowSums: Floats | null,
  ): void;
  unary(op: number, x: Floats, y: Floats, size: number, p: number, q: number): void;
  binary(
    op: number,
    a: Floats,
    b: Floats,
    out: Floats | Bytes,
    rank: number,
    shape: Int32Array,
    aStrides: Int32Array,
    bStrides: Int32Array,
  ): void;
  activation(kind: number, x: Floats, y: Floats, slope: Floats, size: number): void;
  /** Bare multiply-adds on all threads; `done` receives the millions of operations. */
  fma_rate(done: Floats, rounds: number): void;
  add_n(terms: Floats[], out: Floats, size: number): void;
  select(condition: Bytes, a: Floats, b: Floats, out: Floats, size: number): void;
  fill(out: Floats, size: number, value: number): void;
  reduce(op: number, x: Floats, y: Floats, outer: number, n: number, inner: number, scale: number): void;
  softmax(x: Floats, y: Floats, rows: number, n: number, logarithm: boolean): void;
  squared_error(x: Floats, target: Floats, y: Floats, rows: number, n: number): void;
  squared_error_grad(dy: Floats, x: Floats, target: Floats, dx: Floats, rows: number, n: number): void;
  copy(
    from: Memory<Storage>,
    fromOffset: number,
    fromStrides: Int32Array,
    to: Memory<Storage>,
    toOffset: number,
    toStrides: Int32Array,
    rank: number,
    shape: Int32Array,
    bytes: number,
  ): void;
  gather_rows(
    x: Floats,
    index: Ints,
    blank: Floats | null,
    y: Floats,
    batch: number,
    outer: number,
    count: number,
    selected: number,
    width: number,
  ): number;
  segment_sum(
    x: Floats,
    segments: Ints,
    y: Floats,
    order: Ints,
    starts: Ints,
    rows: number,
    count: number,
    width: number,
  ): void;
  edge_sum(
    x: Floats,
    index: Ints,
    starts: Ints,
    weights: Floats | null,
    order: Ints | null,
    y: Floats,
    rows: number,
    edges: number,
    count: number,
    heads: number,
    width: number,
  ): number;
  edge_dot(
    a: Floats,
    b: Floats,
    to: Ints,
    from: Ints,
    y: Floats,
    aRows: number,
    bRows: number,
    edges: number,
    heads: number,
    width: number,
  ): number;
  edge_softmax(x: Floats, starts: Ints, y: Floats, edges: number, count: number, heads: number): number;
  edge_softmax_grad(
    dy: Floats,
    y: Floats,
    starts: Ints,
    dx: Floats,
    edges: number,
    count: number,
    heads: number,
  ): number;
  dropout(x: Floats, y: Floats, size: number, seed: number, rate: number): void;
  layer_norm(
    x: Floats,
    weight: Floats | null,
    bias: Floats | null,
    y: Floats,
    mean: Floats,
    rstd: Floats,
    rows: number,
    width: number,
    epsilon: number,
  ): void;
  layer_norm_grad(
    dy: Floats,
    x: Floats,
    mean: Floats,
    rstd: Floats,
    weight: Floats | null,
    extra: Floats | null,
    dx: Floats,
    dweight: Floats | null,
    dbias: Floats | null,
    rows: number,
    width: number,
  ): void;
  attention(
    q: Floats,
    qOffset: number,
    qRow: number,
    k: Floats,
    kOffset: number,
    v: Floats,
    vOffset: number,
    kvRow: number,
    bias: Floats | null,
    biasStrides: Int32Array | null,
    out: Floats,
    lse: Floats,
    batch: number,
    heads: number,
    n: number,
    m: number,
    e: number,
    scale: number,
  ): void;
  attention_grad(
    dout: Floats,
    q: Floats,
    qOffset: number,
    qRow: number,
    k: Floats,
    kOffset: number,
    v: Floats,
    vOffset: number,
    kvRow: number,
    bias: Floats | null,
    biasStrides: Int32Array | null,
    out: Floats,
    lse: Floats,
    dq: Floats,
    dk: Floats,
    dv: Floats,
    dlogits: Floats | null,
    batch: number,
    heads: number,
    n: number,
    m: number,
    e: number,
    scale: number,
  ): void;
  conv2d(x: Floats, filter: Floats, y: Floats, geometry: Int32Array): void;
  conv2d_input_grad(dy: Floats, filter: Floats, dx: Floats, geometry: Int32Array): void;
  conv2d_filter_grad(x: Floats, dy: Floats, dfilter: Floats, geometry: Int32Array): void;
  /** Geometry of the pools: the fields of `PoolGeometry` in cpp/kernels/exports.h. */
  max_pool(x: Floats, y: Floats, geometry: Int32Array): void;
  avg_pool(x: Floats, y: Floats, empty: number, geometry: Int32Array): void;
  max_pool_grad(dy: Floats, x: Floats, dx: Floats, last: boolean, geometry: Int32Array): void;
  avg_pool_grad(dy: Floats, dx: Floats, geometry: Int32Array): void;
  depthwise(x: Floats, filter: Floats, y: Floats, geometry: Int32Array): void;
  depthwise_input_grad(dy: Floats, filter: Floats, dx: Floats, geometry: Int32Array): void;
  depthwise_filter_grad(x: Floats, dy: Floats, dfilter: Floats, geometry: Int32Array): void;
  /** Sizes: batch, height, width, channels, output height and width. */
  resize_bilinear(x: Floats, y: Floats, sizes: Int32Array, ...tables: Lines): void;
  resize_bilinear_grad(dy: Floats, dx: Floats, sizes: Int32Array, ...tables: Lines): void;
  resize_nearest(x: Floats, y: Floats, sizes: Int32Array, rows: Int32Array, columns: Int32Array): void;
  resize_nearest_grad(dy: Floats, dx: Floats, sizes: Int32Array, rows: Int32Array, columns: Int32Array): void;
  batch_moments(x: Floats, active: Floats | null, moments: Floats, rows: number, width: number): void;
  batch_norm(
    x: Floats,
    mean: Floats,
    factor: Floats,
    offset: Floats,
    active: Floats | null,
    y: Floats,
    rows: number,
    width: number,
  ): void;
  batch_norm_grad(
    dy: Floats,
    x: Floats,
    mean: Floats,
    rstd: Floats,
    factor: Floats,
    active: Floats | null,
    dx: Floats,
    dweight: Floats,
    dbias: Floats,
    rows: number,
    width: number,
  ): void;
  arg_best(smallest: boolean, x: Floats, index: Ints, outer: number, n: number, inner: number): void;
  top_k(x: Floats, values: Floats, index: Ints, rows: number, n: number, k: number): void;
  one_hot_floats(index: Ints, out: Floats, count: number, depth: number, on: number, off: number): void;
  one_hot_ints(index: Ints, out: Ints, count: number, depth: number, on: number, off: number): void;
  nearest_rows(
    from: Floats,
    to: Floats,
    index: Ints,
    batch: number,
    n: number,
    m: number,
    width: number,
  ): void;
  near_points(
    cloud: Floats,
    queries: Floats,
    index: Ints,
    points: number,
    count: number,
    k: number,
    radius: number,
  ): void;
  farthest_points(
    cloud: Floats,
    chosen: Ints,
    points: number,
    count: number,
    first: number,
    ignoreNear: number,
  ): void;
  adamw(
    params: Floats[],
    grads: Floats[],
    first: Floats[],
    second: Floats[],
    sizes: Int32Array,
    rates: Float64Array,
    decays: Float64Array,
    beta1: number,
    beta2: number,
    epsilon: number,
    correction1: number,
    correction2: number,
    gradScale: number,
  ): void;
  ema(averages: Floats[], values: Floats[], sizes: Int32Array, decay: number): void;
  norm(arrays: Floats[], sizes: Int32Array, partial: Float64Array): number;
}

/** With pnpm in this repository: pnpm --filter @unmask/native rebuild */
const REBUILD = "npm rebuild @unmask/native";

const require = createRequire(import.meta.url);
let loaded: Addon | undefined;

/** The addon; throws with the reason and the remedy where there is none for this machine. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
  let native: Addon;
  try {
    native = (require("node-gyp-build") as (directory: string) => Addon)(root);
  } catch (error) {
    const reason = (error as Error).message;
    if (reason.startsWith("@unmask/native")) throw error;
    throw new Error(
      `@unmask/native: no compiled addon for ${process.platform}-${process.arch} (${reason}). ` +
        `Install a C++20 compiler, make and python3, then run: ${REBUILD}`,
      { cause: error },
    );
  }
  if (native.interface !== INTERFACE)
    throw new Error(
      "@unmask/native: the compiled addon is not of this version of the package, its kernels take other arguments " +
        `(interface ${native.interface ?? "of old"} instead of ${INTERFACE}); rebuild it: ${REBUILD}`,
    );
  native.setThreads(defaultThreads());
  return native;
}

function defaultThreads(): number {
  const wanted = process.env.UNMASK_THREADS;
  if (wanted === undefined || wanted === "") return availableParallelism();
  const threads = Number(wanted);
  if (!Number.isInteger(threads) || threads < 1)
    throw new Error(`@unmask/native: UNMASK_THREADS must be a whole number from 1, got "${wanted}"`);
  return threads;
}
