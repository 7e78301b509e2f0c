/** Changes of whole clouds. Each returns a new array. */
import type { Random } from "@unmask/core";

export type Normalisation = "sphere" | "box" | "none";

/**
 * "sphere": the mean of the points at the origin, the farthest at distance 1 (PointNet's). "box": the middle of the box
 * around them at the origin, the box within +-1. A cloud whose points are all alike is only moved.
 */
export function normalisePoints(points: Float32Array, how: Normalisation = "sphere"): Float32Array {
  if (how === "none") return points;
  const count = points.length / 3;
  const centre = [0, 0, 0];
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  points.forEach((value, i) => {
    centre[i % 3]! += value / count;
    low[i % 3] = Math.min(low[i % 3]!, value);
    high[i % 3] = Math.max(high[i % 3]!, value);
  });
  const origin = how === "sphere" ? centre : [0, 1, 2].map((axis) => (low[axis]! + high[axis]!) / 2);
  let reach = 0;
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [0, 1, 2].map((axis) => points[3 * i + axis]! - origin[axis]!) as [
      number,
      number,
      number,
    ];
    reach = Math.max(
      reach,
      how === "sphere" ? Math.hypot(x, y, z) : Math.max(Math.abs(x), Math.abs(y), Math.abs(z)),
    );
  }
  return points.map((value, i) => (value - origin[i % 3]!) / (reach || 1));
}

/** Point-MAE's: each axis times a factor in `scale`, plus a shift within +-`shift`. */
export function scaleAndTranslate(
  points: Float32Array,
  random: Random,
  { scale = [2 / 3, 3 / 2], shift = 0.2 }: { scale?: readonly [number, number]; shift?: number } = {},
): Float32Array {
  const factors = [0, 1, 2].map(() => scale[0] + (scale[1] - scale[0]) * random.uniform());
  const moves = [0, 1, 2].map(() => shift * (2 * random.uniform() - 1));
  return points.map((value, i) => value * factors[i % 3]! + moves[i % 3]!);
}

/** A turn by a uniform angle around an axis, or to a uniform orientation. */
export function rotatePoints(
  points: Float32Array,
  random: Random,
  around: "x" | "y" | "z" | "any",
): Float32Array {
  const matrix =
    around === "any" ? anyRotation(random) : turn("xyz".indexOf(around), 2 * Math.PI * random.uniform());
  return points.map((_, i) => {
    const [row, point] = [i % 3, i - (i % 3)];
    return [0, 1, 2].reduce((sum, axis) => sum + matrix[3 * row + axis]! * points[point + axis]!, 0);
  });
}

function turn(axis: number, angle: number): number[] {
  const [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
  const matrix = Array(9).fill(0);
  matrix[4 * axis] = 1;
  matrix[4 * a] = matrix[4 * b] = Math.cos(angle);
  matrix[3 * a + b] = -Math.sin(angle);
  matrix[3 * b + a] = Math.sin(angle);
  return matrix;
}

/** Of a uniform unit quaternion. */
function anyRotation(random: Random): number[] {
  const draws = [random.normal(), random.normal(), random.normal(), random.normal()];
  const length = Math.hypot(...draws) || 1;
  const [w, x, y, z] = draws.map((value) => value / length) as [number, number, number, number];
  return [
    ...[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
    ...[2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
    ...[2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
  ];
}

/** Normal noise on every coordinate, at most `limit`. */
export function jitterPoints(
  points: Float32Array,
  random: Random,
  deviation = 0.01,
  limit = 0.05,
): Float32Array {
  return points.map((value) => value + Math.max(-limit, Math.min(limit, deviation * random.normal())));
}
