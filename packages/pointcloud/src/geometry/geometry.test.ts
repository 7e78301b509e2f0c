import { createRandom } from "@unmask/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { squaredDistance } from "./distance.js";
import { farthestPoints, NEAR_ORIGIN } from "./farthest-points.js";
import { groupPoints } from "./groups.js";
import { nearestPoints, pointTree } from "./k-d-tree.js";

/** Small whole coordinates, so that equal distances and copies abound. */
const cloud = (most: number) =>
  fc
    .array(
      fc.tuple(
        fc.integer({ min: -3, max: 3 }),
        fc.integer({ min: -3, max: 3 }),
        fc.integer({ min: -3, max: 3 }),
      ),
      {
        minLength: 1,
        maxLength: most,
      },
    )
    .map((points) => Float32Array.from(points.flat()));

const sorted = (points: Float32Array, queries: Float32Array, q: number) =>
  Array.from({ length: points.length / 3 }, (_, i) => i)
    .map((i) => ({ i, d: squaredDistance(points, i, queries, q) }))
    .sort((a, b) => a.d - b.d || a.i - b.i);

describe("nearestPoints", () => {
  it("finds what looking at every pair finds, equal distances by index", () => {
    fc.assert(
      fc.property(cloud(80), cloud(4), fc.integer({ min: 1, max: 9 }), (points, queries, wanted) => {
        const k = Math.min(wanted, points.length / 3);
        const found = nearestPoints(points, queries, k);
        for (let q = 0; q < queries.length / 3; q++) {
          const expected = sorted(points, queries, q).slice(0, k);
          expect([...found.subarray(q * k, (q + 1) * k)]).toEqual(expected.map(({ i }) => i));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("finds them among many points of any size", () => {
    for (const scale of [1e-6, 1, 1e6]) {
      const random = createRandom(1);
      const points = random.normals(5000 * 3).map((value) => value * scale);
      const found = nearestPoints(points, points, 16);
      for (let q = 0; q < 5000; q += 700)
        expect([...found.subarray(q * 16, (q + 1) * 16)]).toEqual(
          sorted(points, points, q)
            .slice(0, 16)
            .map(({ i }) => i),
        );
    }
  });

  it("takes copies of one point, and says when there are too few", () => {
    const copies = new Float32Array(300).fill(2);
    expect([...nearestPoints(copies, copies.slice(0, 3), 3)]).toEqual([0, 1, 2]);
    expect(() => nearestPoints(copies, copies, 101)).toThrow("101 neighbours among 100 points");
    expect(() => nearestPoints(new Float32Array(0), copies, 1)).toThrow("at least one point");
  });
});

describe("within a radius", () => {
  it("gives the nearest inside, repeats the first for those that lack, and stands in with the nearest outside", () => {
    fc.assert(
      fc.property(cloud(40), cloud(3), fc.integer({ min: 0, max: 4 }), (points, queries, radius) => {
        const most = Math.min(5, points.length / 3);
        const found = pointTree(points).within(queries, radius, most);
        for (let q = 0; q < queries.length / 3; q++) {
          const all = sorted(points, queries, q);
          const inside = all.filter(({ d }) => d <= radius * radius).slice(0, most);
          const own = [...found.subarray(q * most, (q + 1) * most)];
          const first = (inside[0] ?? all[0]!).i;
          expect(own).toEqual(Array.from({ length: most }, (_, i) => inside[i]?.i ?? first));
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("farthestPoints", () => {
  it("chooses each as far as can be from all before it", () => {
    fc.assert(
      fc.property(cloud(60), fc.integer({ min: 1, max: 8 }), (points, wanted) => {
        const count = Math.min(wanted, points.length / 3);
        const chosen = [...farthestPoints(points, count)];
        expect(chosen[0]).toBe(0);
        for (let i = 1; i < count; i++) {
          const gap = (point: number) =>
            Math.min(...chosen.slice(0, i).map((other) => squaredDistance(points, point, points, other)));
          const gaps = Array.from({ length: points.length / 3 }, (_, point) => gap(point));
          expect(chosen[i]).toBe(gaps.indexOf(Math.max(...gaps)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("passes over points at the origin where asked to, and repeats the first when nothing else is left", () => {
    const points = Float32Array.from([1, 0, 0, 0.02, 0, 0, 0.5, 0, 0]);
    expect([...farthestPoints(points, 3)]).toEqual([0, 1, 2]);
    expect([...farthestPoints(points, 3, { ignoreNear: NEAR_ORIGIN })]).toEqual([0, 2, 0]);
    expect([...farthestPoints(new Float32Array(9), 2, { ignoreNear: NEAR_ORIGIN })]).toEqual([0, 0]);
  });
});

describe("groupPoints", () => {
  it("spreads groups over separate clusters and gives each its own points, its centre first", () => {
    const random = createRandom(1);
    const corners = [10, 20, 30, 40];
    const points = Float32Array.from(
      corners.flatMap((x) =>
        Array.from({ length: 8 }, () => [x + random.uniform(), 0, random.uniform()]).flat(),
      ),
    );
    const { centreIndex, pointIndex, centres } = groupPoints("test", points, 4, 8);
    expect([...centreIndex].map((i) => Math.floor(i / 8)).sort()).toEqual([0, 1, 2, 3]);
    for (let g = 0; g < 4; g++) {
      const own = [...pointIndex.subarray(8 * g, 8 * g + 8)];
      expect(own[0]).toBe(centreIndex[g]);
      expect(new Set(own.map((i) => Math.floor(i / 8))).size).toBe(1);
      expect(centres[3 * g]).toBe(points[3 * centreIndex[g]!]);
    }
  });
});
