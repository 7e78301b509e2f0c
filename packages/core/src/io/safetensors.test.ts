import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixture, fuzz, fuzzRandom, truncationsRead } from "../../test/fuzz.js";
import { FormatError, UnmaskError } from "../errors.js";
import { bytesPerElement, type DType, type RawTensor, rawTensor, toFloat32 } from "./raw-tensor.js";
import { encodeSafetensors, parseSafetensors } from "./safetensors.js";

function file(header: string, data = 0): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

describe("bytes equal to those of the Python library", () => {
  it("for every dtype, names that need escapes, a scalar and an empty tensor", () => {
    const python = fixture("every.safetensors");
    const { tensors, metadata } = parseSafetensors(python);
    expect(metadata).toEqual({ format: "pt" });
    expect(tensors.size).toBe(22);
    const shuffled = new Map([...tensors].sort(([a], [b]) => (a < b ? -1 : 1)));
    expect(encodeSafetensors(shuffled, metadata)).toEqual(python);
  });

  it("without metadata", () => {
    expect(encodeSafetensors(new Map([["x", rawTensor(Float32Array.of(0, 1, 2))]]))).toEqual(
      fixture("plain.safetensors"),
    );
    expect(encodeSafetensors(new Map())).toEqual(file("{}      "));
  });
});

describe("parseSafetensors", () => {
  it("reads values, as views of the file", () => {
    const python = fixture("every.safetensors");
    const { tensors } = parseSafetensors(python);
    expect([...toFloat32(tensors.get("f")!)]).toEqual([1, 2, 3, 4, 5, Infinity]);
    expect([...toFloat32(tensors.get("b")!)]).toEqual([1.5, -2, 65504]);
    expect([...toFloat32(tensors.get("i64")!)]).toEqual([-(2 ** 40), 7]);
    expect(tensors.get("scalar")!.shape).toEqual([]);
    expect(tensors.get("f")!.bytes.buffer).toBe(python.buffer);
  });

  const x = (rest: string) => `{"x":{"dtype":"F32","shape":[2],${rest}}}`;
  it.each([
    ["an empty file", new Uint8Array(0), /0 bytes/],
    ["a header longer than the limit", Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0), /more than 100000000/],
    ["a header longer than the file", Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0), /cut short/],
    ["no JSON", file("hello"), /not JSON/],
    ["invalid UTF-8", Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d, 0x20), /UTF-8/],
    ["a list", file("[]"), /not a JSON object/],
    ["a leading space", file(" {}"), /not a JSON object/],
    [
      "offsets outside the file",
      file(x('"data_offsets":[0,8]'), 4),
      /8 bytes of tensors and the file holds 4/,
    ],
    ["bytes that belong to nothing", file(x('"data_offsets":[0,8]'), 9), /holds 9/],
    ["a gap", file(x('"data_offsets":[4,12]'), 12), /expected 0/],
    ["reversed offsets", file(x('"data_offsets":[8,0]'), 8), /given -8/],
    [
      "an overlap",
      file(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
        3,
      ),
      /begins at byte 1/,
    ],
    ["a shape that does not match", file(x('"data_offsets":[0,4]'), 4), /takes 8 bytes/],
    [
      "a duplicate tensor",
      file(
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
      /twice/,
    ],
    ["a duplicate key", file(x('"data_offsets":[0,8],"dtype":"F32"'), 8), /twice/],
    ["a duplicate key in escapes", file(x('"data_offsets":[0,8],"\\u0064type":"F32"'), 8), /twice/],
    ["a negative axis", file('{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}'), FormatError],
    ["negative zero", file('{"x":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'), /plain integer/],
    ["a float axis", file('{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', 8), /plain integer/],
    [
      "an axis with an exponent",
      file('{"x":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}', 8),
      /plain integer/,
    ],
    [
      "an axis beyond 2^53",
      file('{"x":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}}', 8),
      /non-negative integers/,
    ],
    [
      "a product beyond 2^53",
      file('{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}', 8),
      /larger than any file/,
    ],
    [
      "an overflow hidden by a zero axis",
      file('{"x":{"dtype":"F32","shape":[0,9007199254740991,9007199254740991],"data_offsets":[0,0]}}'),
      /larger/,
    ],
    ["an unknown dtype", file('{"x":{"dtype":"Q4","shape":[0],"data_offsets":[0,0]}}'), /"Q4"/],
    [
      "an inherited dtype",
      file('{"x":{"dtype":"constructor","shape":[0],"data_offsets":[0,0]}}'),
      /"constructor"/,
    ],
    ["an unknown key", file(x('"data_offsets":[0,8],"more":1'), 8), /"more"/],
    ["no shape", file('{"x":{"dtype":"F32","data_offsets":[0,0]}}'), /no shape/],
    ["metadata that is no text", file('{"__metadata__":{"a":1}}'), /metadata "a"/],
    ["a tensor that is null", file('{"x":null}'), FormatError],
    ["nesting without end", file("[".repeat(100_000)), /not JSON/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parseSafetensors(bytes)).toThrow(FormatError);
    expect(() => parseSafetensors(bytes)).toThrow(message);
  });

  it("keeps names that JavaScript objects treat specially", () => {
    const names = ["__proto__", "constructor", "10", "2", ""];
    const tensors = new Map(names.map((name, i) => [name, rawTensor(Float32Array.of(i))]));
    const read = parseSafetensors(encodeSafetensors(tensors)).tensors;
    for (const [name, tensor] of tensors) expect(read.get(name)).toEqual(tensor);
  });

  it("takes no prefix for a whole file, and damage only ends in FormatError", () => {
    for (const name of ["every.safetensors", "plain.safetensors"]) {
      expect(truncationsRead(parseSafetensors, fixture(name))).toBe(0);
      fuzz(parseSafetensors, fixture(name));
    }
    fuzzRandom(parseSafetensors, [2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]);
  });
});

describe("encodeSafetensors", () => {
  it("round-trips any tensors", () => {
    const dtypes: DType[] = ["F32", "F64", "F16", "BF16", "I64", "I8", "BOOL", "C64"];
    const tensor = fc
      .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(3), { maxLength: 3 }), fc.nat(255))
      .map(([dtype, shape, seed]): RawTensor => {
        const count = shape.reduce((a, b) => a * b, 1) * bytesPerElement(dtype);
        return { dtype, shape, bytes: Uint8Array.from({ length: count }, (_, i) => i * 7 + seed) };
      });
    const name = fc.string({ unit: "grapheme" }).filter((text) => text !== "__metadata__");
    fc.assert(
      fc.property(fc.array(fc.tuple(name, tensor)), fc.dictionary(name, name), (pairs, metadata) => {
        const tensors = new Map(pairs);
        const bytes = encodeSafetensors(tensors, metadata);
        const read = parseSafetensors(bytes);
        expect(new Map([...read.tensors].sort())).toEqual(new Map([...tensors].sort()));
        expect({ ...read.metadata }).toEqual({ ...metadata });
        expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
      }),
    );
  });

  it("refuses names and metadata that the format cannot hold, and bytes that do not fit the shape", () => {
    const one = rawTensor(Float32Array.of(1));
    expect(() => encodeSafetensors(new Map([["__metadata__", one]]))).toThrow(UnmaskError);
    expect(() => encodeSafetensors(new Map([["\ud800", one]]))).toThrow(/rename/);
    expect(() => encodeSafetensors(new Map([["a", one]]), { k: "\udc00" })).toThrow(/Unicode/);
    expect(() => encodeSafetensors(new Map([["a", { ...one, shape: [2] }]]))).toThrow(/encodeSafetensors: a/);
  });
});
