/** How well two partitions of the same samples agree, whatever the parts are called. */
import { expect } from "../errors.js";
import { macroF1 } from "./metrics.js";

interface Contingency {
  /** [rows, columns]: samples in part r of the first and part c of the second partition. */
  readonly counts: Float64Array;
  readonly rows: number;
  readonly columns: number;
  readonly rowSums: Float64Array;
  readonly columnSums: Float64Array;
  /** The caller's number of each row and column. */
  readonly rowNames: readonly number[];
  readonly columnNames: readonly number[];
  readonly n: number;
}

function contingency(name: string, first: ArrayLike<number>, second: ArrayLike<number>): Contingency {
  const n = first.length;
  expect(
    n > 0 && n === second.length,
    () => `${name}: expected two partitions of the same samples, got ${n} and ${second.length}`,
  );
  const ascending = (parts: ArrayLike<number>) => [...new Set(Array.from(parts))].sort((a, b) => a - b);
  const [rowNames, columnNames] = [ascending(first), ascending(second)];
  const rowOf = new Map(rowNames.map((part, i) => [part, i]));
  const columnOf = new Map(columnNames.map((part, i) => [part, i]));
  const [rows, columns] = [rowNames.length, columnNames.length];
  const counts = new Float64Array(rows * columns);
  const rowSums = new Float64Array(rows);
  const columnSums = new Float64Array(columns);
  for (let i = 0; i < n; i++) {
    const r = rowOf.get(first[i]!)!;
    const c = columnOf.get(second[i]!)!;
    counts[r * columns + c]!++;
    rowSums[r]!++;
    columnSums[c]!++;
  }
  return { counts, rows, columns, rowSums, columnSums, rowNames, columnNames, n };
}

/** Hubert & Arabie 1985: 1 for equal partitions, 0 in the mean for independent ones. */
export function adjustedRandIndex(labels: ArrayLike<number>, found: ArrayLike<number>): number {
  const { counts, rowSums, columnSums, n } = contingency("adjustedRandIndex", labels, found);
  const pairs = (sizes: Float64Array) => sizes.reduce((sum, size) => sum + (size * (size - 1)) / 2, 0);
  const [both, first, second, all] = [pairs(counts), pairs(rowSums), pairs(columnSums), (n * (n - 1)) / 2];
  const expected = all === 0 ? 0 : (first * second) / all;
  const most = (first + second) / 2;
  return most === expected ? 1 : (both - expected) / (most - expected);
}

/** Mutual information over the arithmetic mean of the two entropies; 1 when both partitions are a single part. */
export function normalizedMutualInformation(labels: ArrayLike<number>, found: ArrayLike<number>): number {
  const { counts, columns, rowSums, columnSums, n } = contingency(
    "normalizedMutualInformation",
    labels,
    found,
  );
  const entropy = (sizes: Float64Array) =>
    sizes.reduce((sum, size) => (size === 0 ? sum : sum - (size / n) * Math.log(size / n)), 0);
  if (rowSums.length === 1 && columnSums.length === 1) return 1;
  let information = 0;
  counts.forEach((count, i) => {
    const independent = rowSums[Math.floor(i / columns)]! * columnSums[i % columns]!;
    if (count > 0) information += (count / n) * Math.log((count * n) / independent);
  });
  const mean = (entropy(rowSums) + entropy(columnSums)) / 2;
  return mean === 0 ? 0 : Math.max(0, information / mean);
}

/** Clusters renamed to the classes they match best one to one (Hungarian); clusters left over become -1 and below. */
export function matchClusters(labels: ArrayLike<number>, found: ArrayLike<number>): Int32Array {
  const { counts, rows, columns, rowNames, columnNames } = contingency("matchClusters", labels, found);
  const size = Math.max(rows, columns);
  const cost = new Float64Array(size * size); // [clusters, classes], padded with zeros
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) cost[c * size + r] = -counts[r * columns + c]!;
  const match = assignmentOfLeastCost(cost, size);
  const renamed = new Map(columnNames.map((cluster, c) => [cluster, rowNames[match[c]!] ?? -1 - c]));
  return Int32Array.from(Array.from(found), (cluster) => renamed.get(cluster)!);
}

/** Share of samples in the cluster matched to their class, under the best one-to-one match. */
export function clusteringAccuracy(labels: ArrayLike<number>, found: ArrayLike<number>): number {
  const matched = matchClusters(labels, found);
  return matched.reduce((right, cluster, i) => right + (cluster === labels[i] ? 1 : 0), 0) / matched.length;
}

/** Macro F1 after the best one-to-one match of clusters to classes. */
export function clusteringF1(labels: ArrayLike<number>, found: ArrayLike<number>): number {
  return macroF1(matchClusters(labels, found), labels);
}

/**
 * The column of each row in the one-to-one assignment of least total cost: the Hungarian method by shortest
 * augmenting paths with potentials (Jonker & Volgenant 1987), O(size^3).
 * @param cost [size, size]
 */
export function assignmentOfLeastCost(cost: Float64Array, size: number): Int32Array {
  expect(
    cost.length === size * size && cost.every(Number.isFinite),
    () => `assignmentOfLeastCost: expected ${size} x ${size} finite costs, got ${cost.length}`,
  );
  const none = size; // a virtual column where each new row starts
  const rowPotential = new Float64Array(size);
  const columnPotential = new Float64Array(size + 1);
  const rowOf = new Int32Array(size + 1).fill(-1);
  const previous = new Int32Array(size);
  for (let start = 0; start < size; start++) {
    const distance = new Float64Array(size).fill(Infinity);
    const reached = new Uint8Array(size + 1);
    let column = none;
    rowOf[none] = start;
    while (rowOf[column] !== -1) {
      reached[column] = 1;
      const row = rowOf[column]!;
      let nearest = -1;
      for (let c = 0; c < size; c++) {
        if (reached[c]) continue;
        const reduced = cost[row * size + c]! - rowPotential[row]! - columnPotential[c]!;
        if (reduced < distance[c]!) {
          distance[c] = reduced;
          previous[c] = column;
        }
        if (nearest === -1 || distance[c]! < distance[nearest]!) nearest = c;
      }
      const step = distance[nearest]!;
      for (let c = 0; c <= size; c++) {
        if (reached[c]) {
          rowPotential[rowOf[c]!]! += step;
          columnPotential[c]! -= step;
        } else if (c < size) distance[c]! -= step;
      }
      column = nearest;
    }
    while (column !== none) {
      rowOf[column] = rowOf[previous[column]!]!;
      column = previous[column]!;
    }
  }
  const columnOf = new Int32Array(size);
  for (let c = 0; c < size; c++) columnOf[rowOf[c]!] = c;
  return columnOf;
}
