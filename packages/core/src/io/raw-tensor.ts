/**
 * Tensors as files hold them: a dtype, a shape and little-endian bytes in row-major order.
 * dtype names are those of safetensors. The machine is taken to be little-endian, as every engine JavaScript runs on is.
 */
import { expect, FormatError } from "../errors.js";
import { concatBytes } from "./byte-source.js";

/** Bytes per element, in the order by which safetensors ranks dtypes (increasing alignment). */
const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type DType = keyof typeof DTYPE_BYTES;

const DTYPES = Object.keys(DTYPE_BYTES) as DType[];

/** What a file says about a tensor before its bytes are read. */
export interface TensorInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** `bytes` holds `product(shape)` elements of `dtype`, little-endian, row-major; it may be a view of a larger buffer. */
export interface RawTensor extends TensorInfo {
  readonly bytes: Uint8Array;
}

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export function isDType(name: unknown): name is DType {
  return typeof name === "string" && Object.hasOwn(DTYPE_BYTES, name);
}

/** Position of a dtype in safetensors' own order. */
export function dtypeRank(dtype: DType): number {
  return DTYPES.indexOf(dtype);
}

export function bytesPerElement(dtype: DType): number {
  return DTYPE_BYTES[dtype];
}

/** Most axes any of the formats may have (numpy's limit). */
const MAX_RANK = 64;

/**
 * Bytes that `shape` and `dtype` take. Throws a {@link FormatError} that begins with `what` when the shape is not a list
 * of at most 64 non-negative integers or the product is not an exact number.
 */
export function byteLength(dtype: DType, shape: readonly unknown[], what: string): number {
  if (shape.length > MAX_RANK)
    throw new FormatError(
      `${what}: at most ${MAX_RANK} axes are possible, got ${shape.length}; the file is damaged`,
    );
  let bytes = bytesPerElement(dtype);
  let empty = false;
  for (const size of shape) {
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || Object.is(size, -0))
      throw new FormatError(
        `${what}: axes must be non-negative integers, got ${typeof size === "number" ? size : typeof size}; the file is damaged`,
      );
    if (size === 0) empty = true;
    else bytes *= size;
    if (!Number.isSafeInteger(bytes))
      throw new FormatError(
        `${what}: shape [${shape.join(", ")}] is larger than any file; the file is damaged`,
      );
  }
  return empty ? 0 : bytes;
}

/** Throws unless `raw.bytes` has the length that shape and dtype say; `what` names the caller and the tensor. */
export function checkRawTensor(raw: RawTensor, what: string): void {
  const wanted = byteLength(raw.dtype, raw.shape, what);
  expect(
    raw.bytes.byteLength === wanted,
    () =>
      `${what}: ${raw.dtype} of shape [${raw.shape.join(", ")}] takes ${wanted} bytes, got ${raw.bytes.byteLength}; give one element for each position`,
  );
}

/** Rows of tensors of one dtype and width, one below the other, in memory of their own. */
export function joinRows(parts: readonly RawTensor[]): RawTensor {
  const [first] = parts as [RawTensor, ...RawTensor[]];
  const [, ...width] = first.shape;
  expect(
    parts.every(({ dtype, shape: [, ...own] }) => dtype === first.dtype && own.join() === width.join()),
    () => `joinRows: got ${parts.map(({ dtype, shape }) => `${dtype} [${shape}]`).join(", ")}`,
  );
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return { dtype: first.dtype, shape: [rows, ...width], bytes: concatBytes(parts.map(({ bytes }) => bytes)) };
}

/** The inverse for `count` parts of as many rows each, as views. */
export function splitRows({ dtype, shape: [rows, ...width], bytes }: RawTensor, count: number): RawTensor[] {
  const step = bytes.length / count;
  return Array.from({ length: count }, (_, i) => ({
    dtype,
    shape: [rows! / count, ...width],
    bytes: bytes.subarray(i * step, (i + 1) * step),
  }));
}

const DTYPE_OF_VIEW = new Map<string, DType>([
  ["Float32Array", "F32"],
  ["Float64Array", "F64"],
  ["Int8Array", "I8"],
  ["Int16Array", "I16"],
  ["Int32Array", "I32"],
  ["Uint8Array", "U8"],
  ["Uint8ClampedArray", "U8"],
  ["Uint16Array", "U16"],
  ["Uint32Array", "U32"],
  ["BigInt64Array", "I64"],
  ["BigUint64Array", "U64"],
]);

/**
 * A raw tensor over `data`, without copying: Float32Array becomes F32, Int32Array I32, Uint8Array U8 and so on.
 * @throws UnmaskError when `shape` does not have `data.length` positions.
 */
export function rawTensor(data: TensorData, shape: readonly number[] = [data.length]): RawTensor {
  const tag = Object.prototype.toString.call(data).slice(8, -1);
  const dtype = DTYPE_OF_VIEW.get(tag);
  expect(
    dtype !== undefined,
    () => `rawTensor: expected a typed array of numbers, got ${tag}; use a Float32Array`,
  );
  const raw = { dtype, shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  checkRawTensor(raw, "rawTensor");
  return raw;
}

/**
 * The elements as the dtype's own typed array: a view where alignment allows, else a copy.
 * BOOL and the 8-bit floats give their bytes, F16 and BF16 their 16-bit patterns, C64 pairs of float32.
 */
export function typedView(raw: RawTensor): TensorData {
  checkRawTensor(raw, "typedView");
  switch (raw.dtype) {
    case "F32":
    case "C64":
      return viewAs(Float32Array, raw.bytes);
    case "F64":
      return viewAs(Float64Array, raw.bytes);
    case "I64":
      return viewAs(BigInt64Array, raw.bytes);
    case "U64":
      return viewAs(BigUint64Array, raw.bytes);
    case "I32":
      return viewAs(Int32Array, raw.bytes);
    case "U32":
      return viewAs(Uint32Array, raw.bytes);
    case "I16":
      return viewAs(Int16Array, raw.bytes);
    case "U16":
    case "F16":
    case "BF16":
      return viewAs(Uint16Array, raw.bytes);
    case "I8":
      return viewAs(Int8Array, raw.bytes);
    case "BOOL":
    case "U8":
    case "F8_E5M2":
    case "F8_E4M3":
    case "F8_E8M0":
    case "F8_E4M3FNUZ":
    case "F8_E5M2FNUZ":
      return raw.bytes;
  }
}

interface ViewConstructor<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

function viewAs<T>(View: ViewConstructor<T>, bytes: Uint8Array): T {
  const size = View.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new View(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/**
 * The elements as float32, row-major. F32 shares the tensor's memory where alignment allows; every other dtype is
 * converted (F64 and 64-bit integers are rounded to the nearest float32, BOOL gives 0 and 1).
 * @throws FormatError for 8-bit floats and complex numbers, which have no float32 meaning here.
 */
export function toFloat32(raw: RawTensor): Float32Array {
  const view = numericView(raw, "toFloat32");
  if (view instanceof Float32Array) return view;
  if (raw.dtype === "F16" || raw.dtype === "BF16") return widenHalf(view as Uint16Array, raw.dtype);
  return Float32Array.from(view as ArrayLike<number | bigint>, Number);
}

/**
 * The elements as int32, row-major; I32 shares the tensor's memory where alignment allows.
 * @throws FormatError when an element is not an integer or does not fit 32 bits.
 */
export function toInt32(raw: RawTensor): Int32Array {
  const view = numericView(raw, "toInt32");
  if (view instanceof Int32Array) return view;
  const numbers =
    raw.dtype === "F16" || raw.dtype === "BF16" ? widenHalf(view as Uint16Array, raw.dtype) : view;
  const integers = new Int32Array(numbers.length);
  for (let i = 0; i < integers.length; i++) {
    const value = Number(numbers[i]!);
    integers[i] = value;
    if (integers[i] !== value)
      throw new FormatError(
        `toInt32: element ${i} is ${numbers[i]}, which is not a 32-bit integer; read it with toFloat32 or typedView`,
      );
  }
  return integers;
}

function numericView(raw: RawTensor, caller: string): TensorData {
  if (raw.dtype === "C64" || raw.dtype.startsWith("F8_"))
    throw new FormatError(
      `${caller}: expected real numbers of 16 bits or more, or integers, got ${raw.dtype}; convert the tensor to float32 where it was saved`,
    );
  return typedView(raw);
}

/** IEEE half or bfloat16 patterns as float32, exactly. */
function widenHalf(patterns: Uint16Array, dtype: "F16" | "BF16"): Float32Array {
  const words = new Uint32Array(patterns.length);
  if (dtype === "BF16") for (let i = 0; i < words.length; i++) words[i] = patterns[i]! << 16;
  else for (let i = 0; i < words.length; i++) words[i] = halfToFloatBits(patterns[i]!);
  return new Float32Array(words.buffer);
}

function halfToFloatBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // brings the leading one of a subnormal to bit 10
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/**
 * Row-major bytes of the elements at `offset + sum(index * strides)`; offset and strides count elements of `size` bytes.
 * A view when they already lie so, else a copy. The caller has checked that every position is inside `bytes`.
 */
export function gatherStrided(
  bytes: Uint8Array,
  size: number,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): Uint8Array {
  const count = shape.reduce((product, n) => product * n, 1);
  if (count === 0) return new Uint8Array(0);
  if (isContiguous(shape, strides)) return bytes.subarray(offset * size, (offset + count) * size);
  const axes = shape.length - 1; // at least 0: a scalar is contiguous
  const inner = shape[axes]!;
  const step = strides[axes]! * size;
  const out = new Uint8Array(count * size);
  const index = new Array<number>(axes).fill(0);
  let source = offset * size;
  for (let target = 0; target < out.length; ) {
    for (let i = 0, from = source; i < inner; i++, from += step)
      for (let b = 0; b < size; b++) out[target++] = bytes[from + b]!;
    for (let axis = axes - 1; axis >= 0; axis--) {
      source += strides[axis]! * size;
      if (++index[axis]! < shape[axis]!) break;
      source -= strides[axis]! * size * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** Strides, in elements, of a row-major tensor. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= Math.max(shape[axis]!, 1);
  }
  return strides;
}

export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  const wanted = rowMajorStrides(shape);
  return shape.every((n, axis) => n === 1 || strides[axis] === wanted[axis]);
}

/** Every group of `size` bytes reversed; the bytes themselves when `size` is 1. */
export function swapBytes(bytes: Uint8Array, size: number): Uint8Array {
  if (size === 1) return bytes;
  const swapped = new Uint8Array(bytes.byteLength);
  for (let i = 0; i < swapped.length; i++) swapped[i] = bytes[i - 2 * (i % size) + size - 1]!;
  return swapped;
}
