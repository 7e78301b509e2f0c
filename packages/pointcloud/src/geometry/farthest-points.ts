import { expect, runHostKernel } from "@unmask/core";
import { countPoints } from "./distance.js";

const { fround } = Math;

/** Of PointNet++'s code, and with it of Point-MAE's: points with a squared norm up to this are never chosen. */
export const NEAR_ORIGIN = 1e-3;

export interface FarthestPointsOptions {
  /** Index of the point that is chosen without comparison. Default 0. */
  readonly first?: number;
  /** Points whose squared norm is no greater are passed over after the first. Default none are. */
  readonly ignoreNear?: number;
}

/**
 * Farthest point sampling (`UnmaskFarthestPoints` where the engine has it): each point chosen is the one farthest from all chosen before it, the one of lowest index where
 * several are. Where every distance is zero, as with copies of fewer than `count` points, the first point repeats.
 * @param cloud [points, 3], all finite
 * @returns `count` indices
 */
export function farthestPoints(
  cloud: Float32Array,
  count: number,
  { first = 0, ignoreNear = -1 }: FarthestPointsOptions = {},
): Int32Array {
  const points = countPoints("farthestPoints", cloud);
  expect(
    Number.isInteger(count) && count > 0 && first >= 0 && first < points,
    () => `farthestPoints: cannot choose ${count} of ${points} points, beginning at ${first}`,
  );
  return (
    runHostKernel("UnmaskFarthestPoints", { cloud }, { count, first, ignoreNear }) ??
    choose(cloud, count, first, ignoreNear)
  );
}

function choose(cloud: Float32Array, count: number, first: number, ignoreNear: number): Int32Array {
  const { x, y, z, index } = candidatesOf(cloud, cloud.length / 3, ignoreNear);
  const nearest = new Float32Array(index.length).fill(1e10); // of each point to the chosen ones
  const chosen = new Int32Array(count);
  chosen[0] = first;
  for (let i = 1; i < count; i++) {
    const last = chosen[i - 1]! * 3;
    const [cx, cy, cz] = [cloud[last]!, cloud[last + 1]!, cloud[last + 2]!];
    let farthest = -1;
    let most = -1;
    for (let j = 0; j < nearest.length; j++) {
      const dx = fround(x[j]! - cx);
      const dy = fround(y[j]! - cy);
      const dz = fround(z[j]! - cz);
      const squared = fround(fround(fround(dx * dx) + fround(dy * dy)) + fround(dz * dz));
      let distance = nearest[j]!;
      if (squared < distance) nearest[j] = distance = squared;
      if (distance > most) {
        most = distance;
        farthest = j;
      }
    }
    chosen[i] = farthest === -1 ? 0 : index[farthest]!;
  }
  return chosen;
}

/** The points that may be chosen, coordinates apart. */
function candidatesOf(cloud: Float32Array, points: number, ignoreNear: number) {
  const kept: number[] = [];
  for (let i = 0; i < points; i++) {
    const [x, y, z] = [cloud[3 * i]!, cloud[3 * i + 1]!, cloud[3 * i + 2]!];
    if (fround(fround(fround(x * x) + fround(y * y)) + fround(z * z)) > ignoreNear) kept.push(i);
  }
  const axis = (offset: number) => Float32Array.from(kept, (i) => cloud[3 * i + offset]!);
  return { index: Int32Array.from(kept), x: axis(0), y: axis(1), z: axis(2) };
}
