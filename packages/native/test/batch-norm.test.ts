/** Batch normalisation by the batch's own moments: the kernels against core's compositions on tfjs's CPU backend. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { batchNorm } from "../../core/src/ops/index.js";
import { addon } from "../src/addon.js";
import { register, setThreads } from "../src/index.js";
import { agree, on, onNative, run, tensor } from "./compare.js";

beforeAll(() => register());

interface Case {
  readonly rows: number;
  readonly width: number;
  readonly weighed: boolean;
  readonly shifted: boolean;
  readonly active: "all" | "some" | "none";
}

/** The norm, its moments, and its gradients by all it takes, weighed by fixed numbers. */
function results({ rows, width, weighed, shifted, active }: Case, odd = false): () => tf.Tensor[] {
  const [x, dy] = [tensor([rows, width], odd), tensor([rows, width])];
  const [weight, bias] = [tensor([width]), tensor([width])];
  const flags = Float32Array.from({ length: rows }, (_, r) =>
    active === "none" || (active === "some" && r % 3 === 1) ? 0 : 1,
  );
  const options = () => ({ epsilon: 1e-5, active: active === "all" ? undefined : tf.tensor1d(flags) });
  const norm = ([x, ...affine]: tf.Tensor[]) =>
    batchNorm(x!, weighed ? affine.shift() : undefined, shifted ? affine.shift() : undefined, options());
  return () => {
    const given = [x(), ...(weighed ? [weight()] : []), ...(shifted ? [bias()] : [])];
    const { y, moments } = norm(given);
    const gradients = tf.grads((...given) => tf.sum(tf.mul(norm(given).y, dy())))(given);
    return [y, moments, ...gradients];
  };
}

const flag = fc.boolean();

it("any shape, with and without scale, shift and rows that do not count", () => {
  const size = (max: number) => fc.integer({ min: 1, max });
  const cases = fc.record({
    rows: fc.oneof(size(9), size(90), fc.constantFrom(1003)),
    width: fc.oneof(size(7), size(70), fc.constantFrom(16, 64)),
    weighed: flag,
    shifted: flag,
    active: fc.constantFrom("all", "some"),
  });
  run(
    // a single row has no variance: its rstd of 1e-5 ** -0.5 makes much of the last bit
    cases.filter(({ rows, active }) => rows > (active === "all" ? 1 : 2)),
    (given) => agree(results(given as Case), 2e-5, 1),
    30,
  );
});

it("nothing at all, and no row that counts", () => {
  const given = { weighed: true, shifted: true, active: "all" } as const;
  agree(results({ ...given, rows: 0, width: 3 }));
  const shapes = onNative(results({ ...given, rows: 4, width: 0 })).map(({ shape }) => shape); // tfjs throws
  expect(shapes).toEqual([[4, 0], [2, 0], [4, 0], [0], [0]]);
  agree(results({ ...given, rows: 5, width: 3, active: "none" }));
});

it("NaN and infinities stay in their columns", () => {
  const one = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const values = tensor([50, 20])().dataSync();
  for (const [i, value] of one.entries()) values[20 * (7 + 9 * i) + 3 * i] = value;
  agree(() => {
    const { y, moments } = batchNorm(tf.tensor2d(values.slice(), [50, 20]), undefined, undefined, {
      epsilon: 1e-5,
    });
    return [y, moments];
  }, 1e-5);
});

it("a mean far from 0 costs the variance nothing", () => {
  const [rows, width] = [30_000, 3];
  const noise = tensor([rows, width], false, 1)().dataSync();
  const x = Float32Array.from(noise, (value, i) => value + 1000 * (1 + (i % width)));
  const [, moments] = onNative(() =>
    Object.values(batchNorm(tf.tensor2d(x.slice(), [rows, width]), undefined, undefined, { epsilon: 1e-5 })),
  );
  for (let c = 0; c < width; c++) {
    const column = Array.from({ length: rows }, (_, r) => x[r * width + c]!);
    const mean = column.reduce((sum, value) => sum + value, 0) / rows;
    const variance = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rows;
    expect(Math.abs(moments!.values[c]! / mean - 1)).toBeLessThan(2e-7);
    expect(Math.abs(moments!.values[width + c]! / variance - 1)).toBeLessThan(1e-5);
  }
});

it("the same to the bit for any number of threads", () => {
  const before = addon().threads();
  const compute = results({ rows: 1200, width: 37, weighed: true, shifted: true, active: "some" });
  const all = [1, 2, 3].map((threads) => {
    setThreads(threads);
    return onNative(compute);
  });
  setThreads(before);
  expect(all[1]).toEqual(all[0]);
  expect(all[2]).toEqual(all[0]);
});

it("statistics of another width are refused", () => {
  const bad = () =>
    on(
      "native",
      () =>
        tf
          .engine()
          .runKernel("UnmaskBatchNorm", { x: tf.ones([3, 5]), moments: tf.ones([2, 4]) }, {}) as tf.Tensor[],
    );
  expect(bad).toThrow("moments [2,4] does not fit x [3, 5]");
});
