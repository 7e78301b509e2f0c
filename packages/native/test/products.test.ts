/** Matrix products and what is made of them, within the rounding of what the addon multiplies in: float32 or bfloat16. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { attention, conv2d } from "../../core/src/ops/index.js";
import { addon } from "../src/addon.js";
import { register } from "../src/index.js";
import { next, on, type Result, run, tensor } from "./compare.js";

beforeAll(() => register());

const half = addon().products === "bfloat16";
/** Of a product of two numbers: each is rounded by up to 2^-8 of itself in bfloat16, sums always in float32. */
const rounding = half ? 2 ** -7 + 2 ** -16 : 2 ** -21;

const size = fc.oneof(fc.integer({ min: 0, max: 70 }), fc.constantFrom(1, 2, 15, 16, 17, 48, 49, 100, 131));
const depth = fc.oneof(size, fc.constantFrom(383, 385, 769, 1601));
const shapes = fc.record({ m: size, n: size, k: depth, aT: fc.boolean(), bT: fc.boolean() });

/**
 * Compares the products of random matrices of random shapes, stored either way round, with sums in double precision.
 * @param wrong says of an entry, the exact sum and the sum of its terms' magnitudes whether it is wrong
 */
function compareProducts(
  value: () => number,
  wrong: (entry: number, exact: number, terms: number) => boolean,
): void {
  run(
    shapes,
    ({ m, n, k, aT, bT }) => {
      const [a, b] = [
        Float32Array.from({ length: m * k }, value),
        Float32Array.from({ length: k * n }, value),
      ];
      const [shapeA, shapeB] = [aT ? [k, m] : [m, k], bT ? [n, k] : [k, n]];
      const [result] = on("native", () =>
        tf.matMul(tf.tensor(a.slice(), shapeA), tf.tensor(b.slice(), shapeB), aT, bT),
      );
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let [exact, terms] = [0, 0];
          for (let p = 0; p < k; p++) {
            const term = a[aT ? p * m + i : i * k + p]! * b[bT ? j * k + p : p * n + j]!;
            exact += term;
            terms += Math.abs(term);
          }
          const entry = result!.values[i * n + j]!;
          if (wrong(entry, exact, terms)) expect.fail(`entry ${i}, ${j}: ${entry} instead of ${exact}`);
        }
    },
    30,
  );
}

it("entries of products are within the rounding of their terms", () => {
  compareProducts(next, (entry, exact, terms) => !(Math.abs(entry - exact) <= rounding * terms));
});

it("small whole numbers are multiplied without an error", () => {
  compareProducts(
    () => Math.round(next() * 100),
    (entry, exact) => entry !== exact,
  );
});

it("NaN and infinities come out where JavaScript has them", () => {
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  const kind = (x: number) => (Number.isFinite(x) ? 0 : x);
  compareProducts(
    () => (next() > 0.9 ? odd[Math.floor((next() + 1) * 2)]! : next()),
    (entry, exact) => !Object.is(kind(entry), kind(exact)),
  );
});

/** Norm of the difference by the norm of what is expected. */
function apart(actual: Result, expected: Result): number {
  let [wrong, whole] = [0, 1e-30];
  for (let i = 0; i < expected.values.length; i++) {
    wrong += (actual.values[i]! - expected.values[i]!) ** 2;
    whole += expected.values[i]! ** 2;
  }
  return Math.sqrt(wrong / whole);
}

it.each([false, true])("attention and convolution with their gradients, odd sizes %s", (odd) => {
  const qkv = [1, 2, 3].map(() => tensor([2, odd ? 51 : 64, odd ? 30 : 48], false, 1));
  const images = tensor([2, odd ? 9 : 8, 8, odd ? 3 : 16], false, 1);
  const filter = tensor([odd ? 5 : 32, odd ? 3 : 16, 3, 3], false, 1);
  const attended = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => attention(q, k, v, { heads: 3 });
  const squares = (y: tf.Tensor) => tf.sum(tf.square(y));
  const compute = () => {
    const [q, k, v] = qkv.map((make) => make()) as [tf.Tensor, tf.Tensor, tf.Tensor];
    return [
      attended(q, k, v),
      conv2d(images(), filter()),
      ...tf.grads((q, k, v) => squares(attended(q!, k!, v!)))([q, k, v]),
      ...tf.grads((x, w) => squares(conv2d(x!, w!)))([images(), filter()]),
    ];
  };
  const expected = on("cpu", compute);
  const actual = on("native", compute);
  for (const [i, result] of actual.entries())
    expect(apart(result, expected[i]!), `result ${i}`).toBeLessThan(half ? 2e-2 : 1e-5);
});

it("gradients of biases are summed in float32", () => {
  const dy = tensor([200, 30], false, 1);
  const [expected] = on("cpu", () => tf.sum(dy(), 0));
  const [, actual] = on(
    "native",
    () =>
      tf
        .engine()
        .runKernel(
          "UnmaskLinearGrad",
          { dy: dy(), x: tf.ones([200, 7]), weight: tf.ones([30, 7]) },
          { bias: true, input: false },
        ) as tf.Tensor[],
  );
  expect(apart(actual!, expected!)).toBeLessThan(1e-6);
});
