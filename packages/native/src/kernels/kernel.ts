/** How the kernels of this package are written down, and the shape arithmetic they share. */
import type * as tf from "@tensorflow/tfjs";
import type { NativeBackend } from "../backend.js";
import type { Floats, Memory, Storage } from "../memory.js";

type Inputs = Record<string, tf.TensorInfo | undefined>;
// biome-ignore lint/suspicious/noExplicitAny: tfjs's attributes have a type of their own for every kernel
type Attrs = Record<string, any>;

export interface Call {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: NativeBackend;
}

/** A kernel; `undefined` hands the call to tfjs's own CPU kernel of that name (other types, rare options). */
export type NativeKernel = (call: Call) => tf.TensorInfo | tf.TensorInfo[] | undefined;

export type Kernels = Record<string, NativeKernel>;

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= shape[d]!;
  }
  return strides;
}

/** Strides that walk `from` along the axes of `to`: 0 where `from` has one element for many. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, d) => (d < missing || from[d - missing] === 1 ? 0 : own[d - missing]!));
}

/** The shape that shapes `a` and `b` broadcast to, or undefined if they do not fit. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let d = 0; d < rank; d++) {
    const x = a[d - rank + a.length] ?? 1;
    const y = b[d - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    shape.push(x === 1 ? y : x);
  }
  return shape;
}

export interface Walk {
  readonly rank: number;
  readonly shape: Int32Array;
  readonly strides: Int32Array[];
}

/** The same walk over elements with as few axes as possible: axes of one go, axes that continue each other merge. */
export function collapse(shape: readonly number[], ...strides: readonly (readonly number[])[]): Walk {
  const merged: number[] = [];
  const steps: number[][] = strides.map(() => []);
  for (let d = 0; d < shape.length; d++) {
    const n = shape[d]!;
    if (n === 1) continue;
    const last = merged.length - 1;
    if (last >= 0 && strides.every((s, i) => steps[i]![last] === s[d]! * n)) {
      merged[last]! *= n;
      strides.forEach((s, i) => {
        steps[i]![last] = s[d]!;
      });
    } else {
      merged.push(n);
      strides.forEach((s, i) => {
        steps[i]!.push(s[d]!);
      });
    }
  }
  if (merged.length === 0) {
    merged.push(1);
    for (const s of steps) s.push(1);
  }
  return {
    rank: merged.length,
    shape: Int32Array.from(merged),
    strides: steps.map((s) => Int32Array.from(s)),
  };
}

export type Dtype = "float32" | "int32" | "bool";

export const isFloat = (tensor: tf.TensorInfo | undefined): tensor is tf.TensorInfo =>
  tensor?.dtype === "float32";

export const isStored = (dtype: string): dtype is Dtype =>
  dtype === "float32" || dtype === "int32" || dtype === "bool";

/** Shapes decide which memory the addon touches: what it is given is checked, also where core has checked before. */
export function requireShapes(fit: boolean, message: () => string): asserts fit {
  if (!fit) throw new Error(message());
}

/** A tensor in the array type of its dtype. */
export function memoryOf(backend: NativeBackend, tensor: tf.TensorInfo): Memory<Storage> {
  if (tensor.dtype === "float32") return backend.floats(tensor);
  return tensor.dtype === "int32" ? backend.ints(tensor) : backend.bytes(tensor);
}

export const clear = (backend: NativeBackend, memory: Floats) => backend.addon.fill(memory, memory.length, 0);

/** Copies elements between two walks over `shape`; see `copy` in cpp/kernels/layout.cc. */
export function copyElements(
  backend: NativeBackend,
  shape: readonly number[],
  from: Memory<Storage>,
  fromOffset: number,
  fromStrides: readonly number[],
  to: Memory<Storage>,
  toOffset: number,
  toStrides: readonly number[],
): void {
  if (sizeOf(shape) === 0) return;
  const walk = collapse(shape, fromStrides, toStrides);
  const [source, target] = walk.strides as [Int32Array, Int32Array];
  backend.addon.copy(
    from,
    fromOffset,
    source,
    to,
    toOffset,
    target,
    walk.rank,
    walk.shape,
    to.BYTES_PER_ELEMENT,
  );
}
