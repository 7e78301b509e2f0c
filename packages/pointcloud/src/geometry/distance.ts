/** Squared distances in float32, each operation rounded, so that nearest points are those that float32 code finds. */
import { expect } from "@unmask/core";

const { fround } = Math;

/** |a[i] - b[j]|^2 of points of two flat arrays. */
export function squaredDistance(a: Float32Array, i: number, b: Float32Array, j: number): number {
  const dx = fround(a[3 * i]! - b[3 * j]!);
  const dy = fround(a[3 * i + 1]! - b[3 * j + 1]!);
  const dz = fround(a[3 * i + 2]! - b[3 * j + 2]!);
  return fround(fround(fround(dx * dx) + fround(dy * dy)) + fround(dz * dz));
}

/** The number of points of a flat array; throws where it is none, not made of triples, or a coordinate is not finite. */
export function countPoints(name: string, cloud: Float32Array): number {
  const count = cloud.length / 3;
  expect(
    Number.isInteger(count) && count > 0,
    () => `${name}: expected x, y, z of at least one point, got ${cloud.length} numbers`,
  );
  for (let i = 0; i < cloud.length; i++)
    expect(
      Number.isFinite(cloud[i]),
      () =>
        `${name}: coordinate ${"xyz"[i % 3]} of point ${Math.floor(i / 3)} is ${cloud[i]}; leave such points out`,
    );
  return count;
}
