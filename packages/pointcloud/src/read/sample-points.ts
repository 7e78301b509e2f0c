/** As many points as a model sees, from a mesh or from another number of points. */
import { expect, type Random } from "@unmask/core";
import type { RawCloud } from "./raw-cloud.js";

/**
 * `count` points of a cloud or of a mesh's surface. Points of a mesh are uniform by area. Of a larger cloud a random choice
 * is taken; of a smaller one every point, and again as many as are missing; of one of just that size all in their order.
 * @returns [count, 3], in float32 after the middle of the box around the cloud was subtracted
 */
export function samplePoints(cloud: RawCloud, count: number, random: Random): Float32Array {
  const middle = boxMiddle(cloud.points);
  if (cloud.triangles !== undefined) return sampleMesh(cloud.points, cloud.triangles, middle, count, random);
  const { points } = cloud;
  const held = points.length / 3;
  const chosen = Int32Array.from({ length: count }, (_, i) => i % held);
  if (held !== count) {
    let order = random.permutation(held);
    for (let i = 0; i < count; i++) {
      if (i > 0 && i % held === 0) order = random.permutation(held);
      chosen[i] = order[i % held]!;
    }
  }
  return Float32Array.from({ length: count * 3 }, (_, i) => {
    return points[3 * chosen[Math.floor(i / 3)]! + (i % 3)]! - middle[i % 3]!;
  });
}

function sampleMesh(
  points: RawCloud["points"],
  triangles: Uint32Array,
  middle: readonly number[],
  count: number,
  random: Random,
): Float32Array {
  const corner = (index: number, axis: number) => points[3 * triangles[index]! + axis]! - middle[axis]!;
  const faces = triangles.length / 3;
  const upTo = new Float64Array(faces); // area of all faces up to each
  let area = 0;
  for (let f = 0; f < faces; f++) {
    const [u, v] = [1, 2].map((to) =>
      [0, 1, 2].map((axis) => corner(3 * f + to, axis) - corner(3 * f, axis)),
    );
    const [a, b] = [u!, v!] as [number[], number[]];
    area +=
      Math.hypot(
        a[1]! * b[2]! - a[2]! * b[1]!,
        a[2]! * b[0]! - a[0]! * b[2]!,
        a[0]! * b[1]! - a[1]! * b[0]!,
      ) / 2;
    upTo[f] = area;
  }
  expect(
    area > 0 && Number.isFinite(area),
    () => `sampleMesh: the ${faces} triangles have no area; give the points alone`,
  );
  const sampled = new Float32Array(count * 3);
  for (let i = 0; i < count; i++) {
    const face = firstAbove(upTo, random.uniform() * area);
    const root = Math.sqrt(random.uniform()); // uniform in the triangle
    const share = random.uniform();
    for (let axis = 0; axis < 3; axis++)
      sampled[3 * i + axis] =
        (1 - root) * corner(3 * face, axis) +
        root * (1 - share) * corner(3 * face + 1, axis) +
        root * share * corner(3 * face + 2, axis);
  }
  return sampled;
}

/** The first index whose value is above `value`. */
function firstAbove(ascending: Float64Array, value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

function boxMiddle(points: RawCloud["points"]): [number, number, number] {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i++) {
    const axis = i % 3;
    if (points[i]! < low[axis]!) low[axis] = points[i]!;
    if (points[i]! > high[axis]!) high[axis] = points[i]!;
  }
  return [0, 1, 2].map((axis) => (low[axis]! + high[axis]!) / 2) as [number, number, number];
}
