/** Groups of neighbouring points: the tokens of Point-MAE. */
import { expect } from "@unmask/core";
import { countPoints } from "./distance.js";
import { farthestPoints, NEAR_ORIGIN } from "./farthest-points.js";
import { nearestPoints } from "./k-d-tree.js";

export interface PointGroups {
  /** Index of each group's centre: [groups] */
  readonly centreIndex: Int32Array;
  /** [groups, 3] */
  readonly centres: Float32Array;
  /** Indices of each group's points, nearest first: [groups, size] */
  readonly pointIndex: Int32Array;
  /** Coordinates of each group's points, as they are: [groups, size, 3] */
  readonly points: Float32Array;
}

/**
 * Centres by farthest point sampling from the first point, as PointNet++'s code does it, and the nearest points of each;
 * groups may overlap.
 * @param cloud [points, 3]
 * @param name the caller, for its messages
 */
export function groupPoints(name: string, cloud: Float32Array, groups: number, size: number): PointGroups {
  const count = countPoints(name, cloud);
  expect(
    count >= groups && count >= size,
    () =>
      `${name}: ${groups} groups of ${size} points need a cloud of at least ${Math.max(groups, size)} points, got ${count}; take fewer groups or more points`,
  );
  const centreIndex = farthestPoints(cloud, groups, { ignoreNear: NEAR_ORIGIN });
  const centres = takePoints(cloud, centreIndex);
  const pointIndex = nearestPoints(cloud, centres, size);
  return { centreIndex, centres, pointIndex, points: takePoints(cloud, pointIndex) };
}

/** Coordinates by index. */
export function takePoints(cloud: Float32Array, index: Int32Array): Float32Array {
  const taken = new Float32Array(index.length * 3);
  for (let i = 0; i < index.length; i++) {
    const from = 3 * index[i]!;
    taken[3 * i] = cloud[from]!;
    taken[3 * i + 1] = cloud[from + 1]!;
    taken[3 * i + 2] = cloud[from + 2]!;
  }
  return taken;
}
