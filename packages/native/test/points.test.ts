/** Nearest and farthest points: the choice is that of the code in TypeScript, to the last tie. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { kernels } from "../../core/src/ops/index.js";
import { farthestPoints, NEAR_ORIGIN } from "../../pointcloud/src/geometry/farthest-points.js";
import { nearestPoints, pointTree } from "../../pointcloud/src/geometry/k-d-tree.js";
import { register } from "../src/index.js";
import { closeTo, next, on, onNative, run } from "./compare.js";

beforeAll(() => register());

/** The same indices on both backends. */
function alike(compute: () => Int32Array): void {
  tf.setBackend("cpu");
  const expected = compute();
  tf.setBackend("native");
  const before = tf.memory().numTensors;
  expect([...compute()]).toEqual([...expected]);
  expect(tf.memory().numTensors).toBe(before);
}

/** Small whole coordinates, so that equal distances and copies abound, or any. */
const cloud = (least: number, most: number) =>
  fc
    .tuple(fc.integer({ min: least, max: most }), fc.constantFrom(0, 1e-20, 1, 1e6))
    .map(([points, scale]) =>
      Float32Array.from({ length: 3 * points }, () =>
        scale === 0 ? Math.round(3 * next()) : scale * next(),
      ),
    );

describe("points of a cloud", () => {
  it("nearest points and points within a radius", () => {
    run(fc.tuple(cloud(1, 300), cloud(1, 9), fc.nat(30), fc.nat(3)), ([points, queries, wanted, radius]) => {
      const k = 1 + (wanted % (points.length / 3));
      alike(() => nearestPoints(points, queries, k));
      alike(() => pointTree(points).within(queries, radius, k));
    });
    const many = Float32Array.from({ length: 6000 }, next);
    alike(() => nearestPoints(many, many, 7));
    expect(() => nearestPoints(many, many, 2001)).toThrow("2001 neighbours among 2000 points");
  });

  it("farthest points, from any first one, with and without those near the origin", () => {
    run(fc.tuple(cloud(1, 90), fc.nat(40), fc.nat(100)), ([points, wanted, at]) => {
      const [count, first] = [1 + wanted, at % (points.length / 3)];
      alike(() => farthestPoints(points, count, { first }));
      alike(() => farthestPoints(points, count, { first, ignoreNear: NEAR_ORIGIN }));
    });
    const many = Float32Array.from({ length: 3 * 20011 }, next); // more than one task
    alike(() => farthestPoints(many, 20));
  });
});

describe("the nearest of another set", () => {
  const sample = (shape: number[], odd: boolean) =>
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () =>
      odd && next() > 0.8 ? Number.POSITIVE_INFINITY : Math.round(8 * next()) / (odd ? 1 : 8),
    );
  const sizes = fc.record({
    batch: fc.integer({ min: 0, max: 3 }),
    n: fc.integer({ min: 0, max: 70 }),
    m: fc.integer({ min: 1, max: 70 }),
    width: fc.integer({ min: 1, max: 5 }),
    odd: fc.boolean(),
  });
  const both = (name: string, inputs: () => tf.NamedTensorMap, attrs: object) => [
    on("cpu", () => kernels.get(name)!.compose(inputs() as never, attrs as never)),
    onNative(() => tf.engine().runKernel(name, inputs(), attrs as tf.NamedAttrMap) as tf.Tensor[]),
  ];

  it("UnmaskTakeNearest and its gradient", () => {
    run(sizes, ({ batch, n, m, width, odd }) => {
      const [p, q] = [sample([batch, n, width], odd), sample([batch, m, width], odd)];
      const given = () => ({
        from: tf.tensor(p.slice(), [batch, n, width]),
        to: tf.tensor(q.slice(), [batch, m, width]),
      });
      if (batch * n === 0) {
        const [rows, index] = onNative(
          () => tf.engine().runKernel("UnmaskTakeNearest", given(), {}) as tf.Tensor[],
        );
        expect([rows!.shape, index!.shape]).toEqual([
          [batch, n, width],
          [batch, n],
        ]);
        return;
      }
      const [expected, found] = both("UnmaskTakeNearest", given, {});
      expect([...Array.from(found![1]!.values)]).toEqual([...Array.from(expected![1]!.values)]);
      if (!odd) closeTo(found![0]!, expected![0]!, 1e-7);
      const index = () => tf.tensor(Int32Array.from(expected![1]!.values), [batch, n], "int32");
      const dy = () => ({
        dy: tf.tensor(sample([batch, n, width], false), [batch, n, width]),
        index: index(),
      });
      const fixed = dy().dy;
      const [slow, fast] = both("UnmaskTakeNearestGrad", () => ({ dy: fixed.clone(), index: index() }), {
        count: m,
      });
      closeTo(fast![0]!, slow![0]!, 2e-6);
      fixed.dispose();
    });
  });
});
