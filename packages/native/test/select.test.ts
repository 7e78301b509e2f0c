/** The largest and smallest entries, the k largest in order, and one-hot rows. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { register } from "../src/index.js";
import { agree, on, onNative, run, tensor } from "./compare.js";

beforeAll(() => register());

const size = (min: number, max: number) => fc.integer({ min, max });

describe("argMax and argMin", () => {
  it("along any axis, of equal values the first, NaN as tfjs takes it", () => {
    const cases = fc
      .record({
        shape: fc.array(fc.oneof(size(1, 7), size(1, 70)), { minLength: 1, maxLength: 3 }),
        axis: fc.nat(5),
        kind: fc.constantFrom("plain", "odd", "equal"),
      })
      .map(({ shape, axis, kind }) => ({ shape, axis: axis % shape.length, kind }));
    run(cases, ({ shape, axis, kind }) => {
      const x = tensor(shape, kind === "odd");
      const given = () => (kind === "equal" ? tf.round(x()) : x());
      agree(() => [tf.argMax(given(), axis), tf.argMin(given(), axis)], 0);
    });
    const nothing = () => tf.zeros([0, 5]);
    agree(() => [tf.argMax(nothing(), 1), tf.argMin(nothing(), 1)], 0);
    const infinite = () => tf.fill([3, 40], Number.NEGATIVE_INFINITY);
    agree(() => [tf.argMax(infinite(), 1), tf.argMax(infinite(), 0), tf.argMin(infinite(), 1)], 0);
  });
});

describe("topk", () => {
  it("few and many, of equal values the first", () => {
    const cases = fc.record({
      shape: fc.tuple(size(0, 4), size(1, 700)),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      equal: fc.boolean(),
    });
    run(cases, ({ shape, share, equal }) => {
      const x = tensor(shape);
      const k = Math.round(share * shape[1]);
      const given = () => (equal ? tf.round(x()) : x());
      for (const many of [k, Math.min(5, k)])
        agree(() => {
          const { values, indices } = tf.topk(given(), many);
          return [values, indices];
        }, 0);
    });
  });

  it("infinities and zeros of both signs as tfjs, NaN before all numbers", () => {
    const row = [1, Infinity, -0, 0, -Infinity, -3, 1e-40, Infinity];
    agree(() => Object.values(tf.topk(tf.tensor1d(row), 8)), 0);
    const long = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i));
    long[7] = long[250] = Number.NaN;
    for (const k of [3, 200]) {
      const [values, indices] = onNative(() => {
        const found = tf.topk(tf.tensor1d(long.slice()), k);
        return [found.values, found.indices];
      });
      expect([...Array.from(indices!.values).slice(0, 2)]).toEqual([7, 250]);
      expect(values!.values[2]).toBe(Math.max(...Array.from(long).filter((v) => !Number.isNaN(v))));
    }
  });
});

describe("oneHot", () => {
  it("float and whole numbers, indices outside", () => {
    run(fc.tuple(fc.array(size(-2, 20), { maxLength: 40 }), size(2, 17)), ([indices, depth]) => {
      for (const dtype of ["float32", "int32", "bool"] as const)
        agree(
          () =>
            tf.cast(
              tf.oneHot(tf.tensor1d(indices, "int32"), depth, dtype === "bool" ? 1 : 3, 0, dtype),
              "float32",
            ),
          0,
        );
    });
    expect(on("native", () => tf.oneHot(tf.tensor1d([1], "int32"), 2))[0]!.dtype).toBe("int32");
  });
});
