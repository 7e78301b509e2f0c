import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixture, fuzz, fuzzRandom, truncationsRead } from "../../test/fuzz.js";
import { FormatError, UnmaskError } from "../errors.js";
import { encodeNpy, encodeNpz, parseNpy, parseNpz } from "./npy.js";
import { type RawTensor, rawTensor, toFloat32, toInt32, typedView } from "./raw-tensor.js";

const grid = [0, 1, 2, 3, 4, 5];
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

function npy(header: string, data = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(10 + text.length + data);
  bytes.set([...MAGIC, 1, 0, text.length & 255, text.length >> 8]);
  bytes.set(text, 10);
  return bytes;
}

describe("parseNpy", () => {
  it.each(["c_f4", "fortran_f8", "big_i4", "fortran_big_i2", "f2", "i8", "u1", "version2", "version3"])(
    "%s: reads the grid that NumPy saved",
    (name) => {
      const raw = parseNpy(fixture(`${name}.npy`));
      expect(raw.shape).toEqual([2, 3]);
      expect([...toFloat32(raw)]).toEqual(grid);
      expect([...toInt32(raw)]).toEqual(grid);
    },
  );

  it("reads booleans, scalars, vectors, empty arrays and complex numbers", () => {
    expect([...toFloat32(parseNpy(fixture("bool.npy")))]).toEqual([0, 0, 0, 1, 1, 1]);
    expect(parseNpy(fixture("scalar.npy"))).toMatchObject({ dtype: "F32", shape: [] });
    expect([...toFloat32(parseNpy(fixture("vector.npy")))]).toEqual([0, 1, 2, 3, 4]);
    expect(parseNpy(fixture("empty.npy"))).toMatchObject({ shape: [0, 4] });
    expect([...typedView(parseNpy(fixture("big_c8.npy")))]).toEqual(grid.flatMap((n) => [n, 1]));
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["object arrays", fixture("object.npy"), /Python objects/],
    ["records", fixture("record.npy"), /records/],
    ["text", npy("{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }", 12), /"<U3"/],
    [
      "a dtype that objects inherit",
      npy("{'descr': '<constructor', 'fortran_order': False, 'shape': (), }"),
      /"<constructor"/,
    ],
    [
      "a huge shape",
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }"),
      /larger than any file/,
    ],
    [
      "a huge Fortran shape",
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (9999999, 9999), }", 4),
      /takes/,
    ],
    ["a negative axis", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), /shape/],
    ["a missing comma", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1 2,), }", 8), /axis/],
    [
      "an expression",
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': exit()}", 4),
      /unknown entries/,
    ],
    [
      "too few bytes",
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4),
      /takes 8 bytes, the file has 4/,
    ],
    ["too many bytes", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9), /the file has 9/],
    ["version 4", Uint8Array.from([...MAGIC, 4, 0, 0, 0, 0, 0]), /version 4\.0/],
    ["a header of 4 GiB", Uint8Array.from([...MAGIC, 2, 0, 255, 255, 255, 255]), /header of 4294967295/],
    ["another format", new TextEncoder().encode("a,b,c\n1,2,3\n"), /numpy\.save/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parseNpy(bytes)).toThrow(FormatError);
    expect(() => parseNpy(bytes)).toThrow(message);
  });

  it("takes no prefix for a whole file, and damage only ends in FormatError", () => {
    for (const name of ["c_f4", "fortran_big_i2", "version2"]) {
      expect(truncationsRead(parseNpy, fixture(`${name}.npy`))).toBe(0);
      fuzz(parseNpy, fixture(`${name}.npy`), 1000);
    }
    fuzzRandom(parseNpy, [...MAGIC, 1, 0]);
  });
});

describe("encodeNpy", () => {
  it.each(["c_f4", "f2", "i8", "u1", "bool", "scalar", "empty", "vector"])(
    "%s: writes NumPy's own bytes",
    (name) => {
      const file = fixture(`${name}.npy`);
      expect(encodeNpy(parseNpy(file))).toEqual(file);
    },
  );

  it("round-trips any shape", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 5 }), (shape) => {
        const count = shape.reduce((a, b) => a * b, 1);
        const raw = rawTensor(
          Float64Array.from({ length: count }, (_, i) => i / 3),
          shape,
        );
        expect(parseNpy(encodeNpy(raw))).toEqual(raw);
        expect(encodeNpy(raw).length % 64).toBe((count * 8) % 64);
      }),
    );
  });

  it("refuses what NumPy has no type for", () => {
    const raw: RawTensor = { dtype: "BF16", shape: [1], bytes: new Uint8Array(2) };
    expect(() => encodeNpy(raw)).toThrow(UnmaskError);
    expect(() => encodeNpy(raw)).toThrow(/toFloat32/);
  });
});

describe("npz", () => {
  it("reads stored and compressed archives", () => {
    const stored = parseNpz(fixture("stored.npz"));
    expect([...toFloat32(stored.get("a")!)]).toEqual(grid);
    expect([...toInt32(stored.get("b")!)]).toEqual(grid);
    const compressed = parseNpz(fixture("compressed.npz"));
    expect([...toFloat32(compressed.get("a")!)]).toEqual(grid);
    expect(compressed.get("b")!.shape).toEqual([5000]);
  });

  it("round-trips", () => {
    const tensors = new Map([
      ["a", rawTensor(Float32Array.of(1, 2), [2, 1])],
      ["é", rawTensor(Uint8Array.of(3))],
    ]);
    expect(parseNpz(encodeNpz(tensors))).toEqual(tensors);
  });

  it("takes no prefix for a whole file, and damage only ends in FormatError", () => {
    for (const name of ["stored.npz", "compressed.npz"]) {
      expect(truncationsRead(parseNpz, fixture(name))).toBe(0);
      fuzz(parseNpz, fixture(name));
    }
    fuzzRandom(parseNpz, [0x50, 0x4b, 3, 4]);
  });
});
