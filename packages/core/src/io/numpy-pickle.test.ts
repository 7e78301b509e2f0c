import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../errors.js";
import { parseNumpyPickle, parseSparseNpz, type SparseRows } from "./numpy-pickle.js";
import type { RawTensor } from "./raw-tensor.js";
import { toFloat32 } from "./raw-tensor.js";

const file = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../test/fixtures/io/${name}`, import.meta.url)));
const MATRIX = { rows: 3, columns: 4, starts: [0, 2, 2, 3], indices: [1, 3, 0], values: [1, 2, 5] };
const plain = ({ rows, columns, starts, indices, values }: SparseRows) => ({
  ...{ rows, columns },
  ...{ starts: [...starts], indices: [...indices], values: [...values] },
});

describe("parseNumpyPickle", () => {
  it.each(["numpy-protocol2.pkl", "numpy-protocol4.pkl"])(
    "reads arrays, sparse rows and lists of %s",
    (name) => {
      const value = parseNumpyPickle(file(name)) as Map<string, unknown>;
      const array = value.get("array") as RawTensor;
      expect([array.shape, [...toFloat32(array)]]).toEqual([
        [2, 3],
        [0, 1, 2, 3, 4, 5],
      ]);
      expect([...toFloat32(value.get("columns") as RawTensor)]).toEqual([0, 1, 2, 3, 4, 5]);
      expect([...toFloat32(value.get("big") as RawTensor)]).toEqual([1, 258]);
      expect(plain(value.get("rows") as SparseRows)).toEqual(MATRIX);
      expect(value.get("lists")).toEqual(
        new Map([
          [0, [1, 2]],
          [1, []],
        ]),
      );
    },
  );

  it("runs nothing and says so", () => {
    const evil = new TextEncoder().encode("\x80\x02cos\nsystem\nU\x02lsR.");
    const bytes = Uint8Array.from(
      evil.filter((_, i) => i !== 0),
      (b) => b,
    );
    const pickle = Uint8Array.of(0x80, ...bytes.subarray(1));
    expect(() => parseNumpyPickle(pickle)).toThrow(
      "refers to os.system, which is not read because it could run code",
    );
  });

  it("refuses what is damaged, whatever byte", () => {
    const whole = file("numpy-protocol2.pkl");
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const broken = whole.slice();
        broken[at] = byte;
        try {
          parseNumpyPickle(broken);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 300, seed: 3 },
    );
    expect(() => parseNumpyPickle(whole.subarray(0, 200))).toThrow(FormatError);
  });
});

it("parseSparseNpz reads what scipy.sparse.save_npz writes", () => {
  expect(plain(parseSparseNpz(file("sparse.npz")))).toEqual(MATRIX);
  expect(plain(parseSparseNpz(file("sparse-coo.npz")))).toEqual(MATRIX);
  for (const broken of ["sparse-coo-outside.npz", "numpy-protocol2.pkl"])
    expect(() => parseSparseNpz(file(broken)), broken).toThrow(FormatError);
});
