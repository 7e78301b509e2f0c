import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError, UnmaskError } from "../errors.js";
import {
  type DType,
  gatherStrided,
  joinRows,
  type RawTensor,
  rawTensor,
  splitRows,
  toFloat32,
  toInt32,
  typedView,
} from "./raw-tensor.js";

const raw = (dtype: DType, data: ArrayBufferView): RawTensor => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const sizes: Partial<Record<DType, number>> = { F16: 2, BF16: 2, I64: 8, U64: 8, F64: 8, BOOL: 1, U8: 1 };
  return { dtype, shape: [data.byteLength / (sizes[dtype] ?? 4)], bytes };
};

describe("toFloat32", () => {
  it("shares memory with an aligned F32 tensor and copies one that is not aligned", () => {
    const data = Float32Array.of(1, 2, 3);
    expect(toFloat32(rawTensor(data)).buffer).toBe(data.buffer);
    const shifted = new Uint8Array(13);
    shifted.set(new Uint8Array(data.buffer), 1);
    const tensor: RawTensor = { dtype: "F32", shape: [3], bytes: shifted.subarray(1) };
    expect([...toFloat32(tensor)]).toEqual([1, 2, 3]);
    const buffer = Buffer.from(shifted.buffer, 1, 12);
    expect([...toFloat32({ ...tensor, bytes: buffer })]).toEqual([1, 2, 3]);
  });

  it("reads every finite half by its definition, and infinities and NaN", () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = toFloat32(raw("F16", all));
    for (const pattern of all) {
      const sign = pattern & 0x8000 ? -1 : 1;
      const exponent = (pattern >> 10) & 31;
      const fraction = pattern & 1023;
      const wanted =
        exponent === 31
          ? fraction === 0
            ? sign * Number.POSITIVE_INFINITY
            : Number.NaN
          : exponent === 0
            ? (sign * fraction) / 2 ** 24
            : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
      if (!Object.is(values[pattern], wanted)) expect([pattern, values[pattern]]).toEqual([pattern, wanted]);
    }
  });

  it("reads BF16 as the upper half of a float32", () => {
    expect([...toFloat32(raw("BF16", Uint16Array.of(0x3fc0, 0xff80, 0x8000)))]).toEqual([1.5, -Infinity, -0]);
  });

  it("rounds F64 and 64-bit integers, and gives 0 and 1 for BOOL", () => {
    expect([...toFloat32(raw("F64", Float64Array.of(0.1)))]).toEqual([Math.fround(0.1)]);
    expect([...toFloat32(raw("I64", BigInt64Array.of(-3n, 2n ** 40n)))]).toEqual([-3, 2 ** 40]);
    expect([...toFloat32(raw("U64", BigUint64Array.of(2n ** 63n)))]).toEqual([2 ** 63]);
    expect([...toFloat32(raw("BOOL", Uint8Array.of(0, 1)))]).toEqual([0, 1]);
  });

  it("refuses dtypes without a float32 meaning", () => {
    expect(() => toFloat32({ dtype: "C64", shape: [1], bytes: new Uint8Array(8) })).toThrow(
      /C64.*where it was saved/,
    );
    expect(() => toFloat32({ dtype: "F8_E4M3", shape: [1], bytes: new Uint8Array(1) })).toThrow(FormatError);
  });

  it("refuses a tensor whose bytes are not as many as its shape says", () => {
    expect(() => toFloat32({ dtype: "F32", shape: [2], bytes: new Uint8Array(4) })).toThrow(
      /takes 8 bytes, got 4/,
    );
  });
});

describe("toInt32", () => {
  it("converts whole numbers of any dtype", () => {
    expect([...toInt32(raw("I64", BigInt64Array.of(-5n, 6n)))]).toEqual([-5, 6]);
    expect([...toInt32(rawTensor(Float32Array.of(3, -0)))]).toEqual([3, 0]);
    expect([...toInt32(raw("F16", Uint16Array.of(0x4200)))]).toEqual([3]);
    const own = Int32Array.of(7);
    expect(toInt32(rawTensor(own)).buffer).toBe(own.buffer);
  });

  it("refuses what a 32-bit integer cannot hold, naming the element", () => {
    expect(() => toInt32(raw("I64", BigInt64Array.of(0n, 2n ** 31n)))).toThrow(/element 1 is 2147483648/);
    expect(() => toInt32(rawTensor(Float32Array.of(0.5)))).toThrow(FormatError);
    expect(() => toInt32(rawTensor(Float32Array.of(Number.NaN)))).toThrow(FormatError);
  });
});

describe("rawTensor and typedView", () => {
  it("give back the array they were given", () => {
    for (const data of [
      Float64Array.of(1),
      Int16Array.of(-1, 2),
      BigInt64Array.of(9n),
      Uint8Array.of(3),
      Int8Array.of(-4),
    ])
      expect(typedView(rawTensor(data))).toEqual(data);
  });

  it("refuse a shape that does not fit", () => {
    expect(() => rawTensor(Float32Array.of(1, 2), [3])).toThrow(UnmaskError);
    expect(() => rawTensor(Float32Array.of(1), [1.5])).toThrow(/non-negative integers/);
  });
});

it("gatherStrided picks the elements that index arithmetic names", () => {
  const layout = fc
    .array(fc.tuple(fc.nat(4), fc.nat(7)), { maxLength: 4 })
    .chain((axes) => fc.tuple(fc.constant(axes), fc.nat(5), fc.constantFrom(1, 2, 4, 8)));
  fc.assert(
    fc.property(layout, ([axes, offset, size]) => {
      const shape = axes.map(([n]) => n);
      const strides = axes.map(([, stride]) => stride);
      const bytes = Uint8Array.from({ length: size * (offset + 4 * 7 * 4 + 1) }, (_, i) => i % 251);
      const wanted: number[] = [];
      const visit = (axis: number, at: number) => {
        if (axis === shape.length) for (let b = 0; b < size; b++) wanted.push(bytes[at * size + b]!);
        else for (let i = 0; i < shape[axis]!; i++) visit(axis + 1, at + i * strides[axis]!);
      };
      visit(0, offset);
      expect([...gatherStrided(bytes, size, shape, strides, offset)]).toEqual(wanted);
    }),
  );
});

describe("joinRows", () => {
  it("puts rows below each other, which splitRows takes apart again", () => {
    const parts = [0, 1, 2].map((at) =>
      rawTensor(
        Float32Array.from({ length: 6 }, (_, i) => 10 * at + i),
        [2, 3],
      ),
    );
    const joined = joinRows(parts);
    expect(joined.shape).toEqual([6, 3]);
    expect([...toFloat32(joined)]).toEqual(parts.flatMap((part) => [...toFloat32(part)]));
    expect(splitRows(joined, 3).map((part) => [part.shape, ...toFloat32(part)])).toEqual(
      parts.map((part) => [part.shape, ...toFloat32(part)]),
    );
    expect(joinRows([rawTensor(new Float32Array(2)), rawTensor(new Float32Array(1))]).shape).toEqual([3]);
  });

  it("refuses rows of another width or dtype", () => {
    const rows = rawTensor(new Float32Array(6), [2, 3]);
    expect(() => joinRows([rows, rawTensor(new Float32Array(4), [2, 2])])).toThrow(
      /F32 \[2,3\], F32 \[2,2\]/,
    );
    expect(() => joinRows([rows, rawTensor(new Int32Array(6), [2, 3])])).toThrow(/I32/);
  });
});
