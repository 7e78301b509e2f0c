import { createRandom } from "@unmask/core";
import { describe, expect, it } from "vitest";
import { pointPatches } from "./point-patches.js";

describe("pointPatches", () => {
  it("spreads centres over separate clusters and gives each its own points", () => {
    const random = createRandom(1);
    const corners = [0, 10, 20, 30];
    const cloud = Float32Array.from(
      corners.flatMap((x) =>
        Array.from({ length: 8 }, () => [x + random.uniform(), 0, random.uniform()]).flat(),
      ),
    );
    const { centres, points } = pointPatches(cloud, random, { patches: 4, size: 8 });
    const clusterOf = (patch: number) => Math.floor(centres[patch * 3]! / 10);
    expect([0, 1, 2, 3].map(clusterOf).sort()).toEqual([0, 1, 2, 3]);
    expect(points).toHaveLength(4 * 8 * 3);
    expect([...points].every((coordinate) => Math.abs(coordinate) < 1)).toBe(true);
  });

  it("begins each patch with its centre, at the origin", () => {
    const cloud = createRandom(2).normals(100 * 3);
    const { points } = pointPatches(cloud, createRandom(3), { patches: 5, size: 6 });
    for (let patch = 0; patch < 5; patch++) {
      const own = points.subarray(patch * 18, patch * 18 + 18);
      const norms = Array.from({ length: 6 }, (_, i) => Math.hypot(...own.subarray(i * 3, i * 3 + 3)));
      expect(norms[0]).toBe(0);
      expect(norms).toEqual([...norms].sort((a, b) => a - b));
    }
  });

  it("says how many points it needs", () => {
    expect(() => pointPatches(new Float32Array(10 * 3), createRandom(0))).toThrow(
      /at least 64 points, got 30/,
    );
  });
});
