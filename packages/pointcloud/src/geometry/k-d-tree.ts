/**
 * A k-d tree in flat arrays: nearest points and points within a radius. Points of equal distance come in the order of
 * their index, so that results do not depend on how the tree was built.
 */
import { expect, runHostKernel } from "@unmask/core";
import { countPoints } from "./distance.js";

const { fround } = Math;
const LEAF = 12;
/** Distances are rounded to float32; a box is passed over only where it is farther by more than that. */
const SLACK = 1 - 1e-6;

export interface PointTree {
  readonly points: number;
  /**
   * The `k` points nearest to each query, nearest first.
   * @param queries [queries, 3]
   * @returns indices [queries, k]
   */
  nearest(queries: Float32Array, k: number): Int32Array;
  /**
   * Up to `most` points within `radius` of each query, the nearest first; where there are fewer the first of them
   * repeats, and where there is none the nearest point stands in.
   * @returns indices [queries, most]
   */
  within(queries: Float32Array, radius: number, most: number): Int32Array;
}

/**
 * An engine with a kernel `UnmaskNearPoints` is asked instead; it builds a tree for every call.
 * @param cloud [points, 3], all finite
 */
export function pointTree(cloud: Float32Array): PointTree {
  const points = countPoints("pointTree", cloud);
  let search: Search | undefined;
  const ask = (name: string, queries: Float32Array, k: number, radius: number): Int32Array => {
    const count = countPoints(name, queries);
    expect(
      Number.isInteger(k) && k >= 1 && k <= points,
      () =>
        `${name}: cannot find ${k} neighbours among ${points} points; sample more points or ask for fewer`,
    );
    const native = runHostKernel("UnmaskNearPoints", { cloud, queries }, { k, radius });
    if (native !== undefined) return native;
    search ??= searchOf(cloud);
    const found = new Int32Array(count * k);
    for (const q of inPlaces(queries, count)) {
      const at = search(queries[3 * q]!, queries[3 * q + 1]!, queries[3 * q + 2]!, k, radius, found, q * k);
      if (at === 0)
        search(queries[3 * q]!, queries[3 * q + 1]!, queries[3 * q + 2]!, 1, Infinity, found, q * k);
      if (at < k) found.fill(found[q * k]!, q * k + Math.max(at, 1), (q + 1) * k);
    }
    return found;
  };
  return {
    points,
    nearest: (queries, k) => ask("nearestPoints", queries, k, Infinity),
    within: (queries, radius, most) => {
      expect(radius >= 0, `ballQuery: radius must not be negative, got ${radius}`);
      return ask("ballQuery", queries, Math.min(most, points), fround(radius * radius));
    },
  };
}

type Search = ReturnType<typeof createSearch>;

function searchOf(cloud: Float32Array): Search {
  const order = Int32Array.from({ length: cloud.length / 3 }, (_, i) => i);
  const nodes = buildNodes(cloud, order);
  const sorted = new Float32Array(cloud.length); // coordinates in the order of the tree
  order.forEach((index, i) => {
    sorted.set(cloud.subarray(3 * index, 3 * index + 3), 3 * i);
  });
  return createSearch(nodes, sorted, order);
}

/** The `k` points of `cloud` nearest to each query: [queries, 3] -> [queries, k]. Builds a tree; keep one for repeated use. */
export function nearestPoints(cloud: Float32Array, queries: Float32Array, k: number): Int32Array {
  return pointTree(cloud).nearest(queries, k);
}

/** Queries in the order of a tree of their own, so that one finds in the cache what its neighbour looked at. */
function inPlaces(queries: Float32Array, count: number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  if (count > 4096) buildNodes(queries, order);
  return order;
}

interface Nodes {
  /** First point and one past the last, in the order of the tree. */
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** Index of the left child, the right one following; -1 in a leaf. */
  readonly child: Int32Array;
  /** Bounding box: [nodes, 6], lowest x, y, z and highest. */
  readonly box: Float32Array;
}

/** Splits at the median of the longest side; moves `order` so that each node's points lie together. */
function buildNodes(cloud: Float32Array, order: Int32Array): Nodes {
  const room = 4 * Math.ceil(order.length / LEAF) + 1;
  const start = new Int32Array(room);
  const end = new Int32Array(room);
  const child = new Int32Array(room).fill(-1);
  const box = new Float32Array(room * 6);
  end[0] = order.length;
  let used = 1;
  for (let node = 0; node < used; node++) {
    const [from, to] = [start[node]!, end[node]!];
    const sides = box.subarray(node * 6, node * 6 + 6);
    sides.set([Infinity, Infinity, Infinity, -Infinity, -Infinity, -Infinity]);
    for (let i = from; i < to; i++)
      for (let axis = 0; axis < 3; axis++) {
        const value = cloud[3 * order[i]! + axis]!;
        if (value < sides[axis]!) sides[axis] = value;
        if (value > sides[axis + 3]!) sides[axis + 3] = value;
      }
    const lengths = [0, 1, 2].map((axis) => sides[axis + 3]! - sides[axis]!);
    const axis = lengths.indexOf(Math.max(...lengths));
    if (to - from <= LEAF || !(lengths[axis]! > 0)) continue; // copies of one point stay in one leaf
    const middle = (from + to) >> 1;
    selectMedian(cloud, order, axis, from, to - 1, middle);
    child[node] = used;
    start[used] = from;
    end[used] = start[used + 1] = middle;
    end[used + 1] = to;
    used += 2;
  }
  return { start, end, child, box };
}

/** Quickselect: afterwards no point before `middle` is above it on the axis, and none after it below. */
function selectMedian(
  cloud: Float32Array,
  order: Int32Array,
  axis: number,
  from: number,
  to: number,
  middle: number,
): void {
  let [low, high] = [from, to];
  while (low < high) {
    const pivot = cloud[3 * order[(low + high) >> 1]! + axis]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (cloud[3 * order[i]! + axis]! < pivot) i++;
      while (cloud[3 * order[j]! + axis]! > pivot) j--;
      if (i > j) break;
      const swap = order[i]!;
      order[i++] = order[j]!;
      order[j--] = swap;
    }
    if (middle <= j) high = j;
    else if (middle >= i) low = i;
    else return;
  }
}

function createSearch({ start, end, child, box }: Nodes, sorted: Float32Array, order: Int32Array) {
  let best = new Float64Array(0);
  const stack = new Int32Array(128);
  const bounds = new Float64Array(128);

  const toBox = (node: number, x: number, y: number, z: number): number => {
    const at = node * 6;
    const dx = Math.max(box[at]! - x, 0, x - box[at + 3]!);
    const dy = Math.max(box[at + 1]! - y, 0, y - box[at + 4]!);
    const dz = Math.max(box[at + 2]! - z, 0, z - box[at + 5]!);
    return (dx * dx + dy * dy + dz * dz) * SLACK;
  };

  /** Writes up to k indices to `found` at `at`, nearest first, and returns how many. */
  return (
    x: number,
    y: number,
    z: number,
    k: number,
    radius: number,
    found: Int32Array,
    at: number,
  ): number => {
    if (best.length < k) best = new Float64Array(k);
    let count = 0;
    let depth = 1;
    stack[0] = 0;
    bounds[0] = toBox(0, x, y, z);
    while (depth > 0) {
      const node = stack[--depth]!;
      const limit = count < k ? radius : best[k - 1]!;
      if (bounds[depth]! > limit) continue;
      const left = child[node]!;
      if (left !== -1) {
        const [nearLeft, nearRight] = [toBox(left, x, y, z), toBox(left + 1, x, y, z)];
        const leftFirst = nearLeft <= nearRight;
        stack[depth] = leftFirst ? left + 1 : left; // the nearer one is looked at first
        bounds[depth++] = leftFirst ? nearRight : nearLeft;
        stack[depth] = leftFirst ? left : left + 1;
        bounds[depth++] = leftFirst ? nearLeft : nearRight;
        continue;
      }
      for (let i = start[node]!; i < end[node]!; i++) {
        const dx = fround(sorted[3 * i]! - x);
        const dy = fround(sorted[3 * i + 1]! - y);
        const dz = fround(sorted[3 * i + 2]! - z);
        const distance = fround(fround(fround(dx * dx) + fround(dy * dy)) + fround(dz * dz));
        const index = order[i]!;
        if (distance > radius) continue;
        if (
          count === k &&
          (distance > best[k - 1]! || (distance === best[k - 1]! && index > found[at + k - 1]!))
        )
          continue;
        let place = count < k ? count++ : k - 1;
        for (; place > 0; place--) {
          const other = best[place - 1]!;
          if (other < distance || (other === distance && found[at + place - 1]! < index)) break;
          best[place] = other;
          found[at + place] = found[at + place - 1]!;
        }
        best[place] = distance;
        found[at + place] = index;
      }
    }
    return count;
  };
}
