/** Point clouds into patches, the tokens of Point-MAE. */
import { expect, type Random } from "@unmask/core";

export interface PointPatchOptions {
  /** Patches of a cloud. Default 64, Point-MAE's. */
  readonly patches?: number;
  /** Points of one patch. Default 32. */
  readonly size?: number;
}

export interface PointPatches {
  /** [patches, 3] */
  readonly centres: Float32Array;
  /** Coordinates relative to the patch's centre, nearest first, [patches, size, 3]. */
  readonly points: Float32Array;
}

/**
 * Centres by farthest point sampling from a random first point, and the nearest points of each; patches may overlap.
 * @param cloud x, y, z of each point, [points, 3]
 */
export function pointPatches(
  cloud: Float32Array,
  random: Random,
  { patches = 64, size = 32 }: PointPatchOptions = {},
): PointPatches {
  const count = cloud.length / 3;
  expect(
    Number.isInteger(count) && count >= Math.max(patches, size),
    `pointPatches: ${patches} patches of ${size} points need a cloud [points, 3] of at least ${Math.max(patches, size)} points, got ${cloud.length} numbers`,
  );
  const centres = new Float32Array(patches * 3);
  const points = new Float32Array(patches * size * 3);
  farthestPoints(cloud, patches, random.int(count)).forEach((centre, patch) => {
    const at = cloud.subarray(centre * 3, centre * 3 + 3);
    centres.set(at, patch * 3);
    const distances = squaredDistances(cloud, centre);
    const nearest = [...distances.keys()].sort((a, b) => distances[a]! - distances[b]! || a - b);
    for (let i = 0; i < size; i++)
      for (let axis = 0; axis < 3; axis++)
        points[(patch * size + i) * 3 + axis] = cloud[nearest[i]! * 3 + axis]! - at[axis]!;
  });
  return { centres, points };
}

/** Indices of points, each the one farthest from all before it. */
function farthestPoints(cloud: Float32Array, count: number, first: number): number[] {
  const chosen = [first];
  const nearest = squaredDistances(cloud, first); // of each point to the chosen ones
  while (chosen.length < count) {
    let farthest = 0;
    for (let i = 1; i < nearest.length; i++) if (nearest[i]! > nearest[farthest]!) farthest = i;
    chosen.push(farthest);
    squaredDistances(cloud, farthest).forEach((distance, i) => {
      nearest[i] = Math.min(nearest[i]!, distance);
    });
  }
  return chosen;
}

function squaredDistances(cloud: Float32Array, from: number): Float64Array {
  return Float64Array.from({ length: cloud.length / 3 }, (_, i) => {
    let sum = 0;
    for (let axis = 0; axis < 3; axis++) sum += (cloud[i * 3 + axis]! - cloud[from * 3 + axis]!) ** 2;
    return sum;
  });
}
