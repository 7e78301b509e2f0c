/** Small clouds of two kinds: spheres and boxes, their points in random order. */
import type { Random } from "@unmask/core";
import type { PointSample } from "../src/sample.js";

export function shapes(count: number, random: Random, points = 64): PointSample[] {
  return Array.from({ length: count }, (_, i) => ({
    points: flat(points, () => (i % 2 === 0 ? onSphere(random) : onBox(random))),
    label: i % 2,
  }));
}

const flat = (points: number, draw: () => number[]) =>
  Float32Array.from(Array.from({ length: points }, draw).flat());

function onSphere(random: Random): number[] {
  const direction = [random.normal(), random.normal(), random.normal()];
  const length = Math.hypot(...direction);
  return direction.map((value) => value / length);
}

function onBox(random: Random): number[] {
  const point = [0, 1, 2].map(() => 1.2 * random.uniform() - 0.6);
  point[random.int(3)] = random.int(2) === 0 ? -0.6 : 0.6;
  return point;
}
