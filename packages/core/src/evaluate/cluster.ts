/** k-means, and how well its clusters of features agree with classes. */
import { expect } from "../errors.js";
import { createRandom, type Random } from "../random.js";
import { type FeatureRows, labelledRows } from "./labelled.js";
import {
  adjustedRandIndex,
  clusteringAccuracy,
  clusteringF1,
  normalizedMutualInformation,
} from "./partitions.js";
import { rowProducts } from "./row-products.js";
import { type Spread, spread } from "./spread.js";
import { columnStatistics, standardise } from "./standardise.js";

export interface KMeansOptions {
  readonly clusters: number;
  /** Starts of which the one with the least inertia is kept; 10 when absent. */
  readonly restarts?: number;
  readonly maxIterations?: number;
}

export interface Clustering {
  /** Cluster of each row. */
  readonly assignment: Int32Array;
  /** [clusters, width] */
  readonly centroids: Float32Array;
  /** Sum of squared distances to the centroids. */
  readonly inertia: number;
}

/**
 * k-means (Lloyd) from k-means++ starts (Arthur & Vassilvitskii 2007), until no row changes its cluster.
 * A cluster that loses all rows takes the row furthest from its centroid.
 * @param values [n, width]
 */
export async function kMeans(
  values: Float32Array,
  width: number,
  { clusters, restarts = 10, maxIterations = 300 }: KMeansOptions,
  random: Random,
): Promise<Clustering> {
  const n = values.length / width;
  expect(
    Number.isInteger(clusters) && clusters > 0 && clusters <= n,
    () => `kMeans: expected 1 to ${n} clusters for ${n} rows, got ${clusters}`,
  );
  expect(restarts > 0, `kMeans: restarts must be positive, got ${restarts}`);
  const centred = standardise(values, {
    mean: columnStatistics(values, width).mean, // distances keep their digits when the rows are far from zero
    deviation: new Float64Array(width).fill(1),
  });
  let best: Clustering | undefined;
  for (let start = 0; start < restarts; start++) {
    const found = await lloyd(
      centred,
      width,
      plusPlus(centred, width, clusters, random.child(start)),
      maxIterations,
    );
    if (best === undefined || found.inertia < best.inertia) best = found;
  }
  return { ...best!, centroids: centroidsOf(values, width, clusters, best!.assignment) };
}

/** The first centroid at random, each next one with probability by its squared distance to the nearest so far. */
function plusPlus(values: Float32Array, width: number, clusters: number, random: Random): Float32Array {
  const n = values.length / width;
  const centroids = new Float32Array(clusters * width);
  const distance = new Float64Array(n).fill(Infinity);
  let row = random.int(n);
  for (let k = 0; k < clusters; k++) {
    const centroid = values.subarray(row * width, (row + 1) * width);
    centroids.set(centroid, k * width);
    let total = 0;
    for (let i = 0; i < n; i++)
      total += distance[i] = Math.min(distance[i]!, squaredDistance(values, i * width, centroid, 0, width));
    let left = random.uniform() * total;
    row = 0;
    while (row < n - 1 && (left -= distance[row]!) >= 0) row++;
  }
  return centroids;
}

async function lloyd(
  values: Float32Array,
  width: number,
  start: Float32Array,
  maxIterations: number,
): Promise<Clustering> {
  const clusters = start.length / width;
  let centroids = start;
  let nearest = await assign(values, width, centroids);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    centroids = centroidsOf(values, width, clusters, withoutEmpty(nearest, clusters));
    const next = await assign(values, width, centroids);
    const same = next.assignment.every((cluster, row) => cluster === nearest.assignment[row]);
    nearest = next;
    if (same) break;
  }
  const inertia = nearest.distance.reduce((sum, distance) => sum + distance, 0);
  return { assignment: nearest.assignment, centroids, inertia };
}

interface Nearest {
  readonly assignment: Int32Array;
  /** Squared, to the centroid of the row's cluster. */
  readonly distance: Float64Array;
}

async function assign(values: Float32Array, width: number, centroids: Float32Array): Promise<Nearest> {
  const n = values.length / width;
  const clusters = centroids.length / width;
  const lengths = Float64Array.from({ length: clusters }, (_, k) =>
    squaredLength(centroids, k * width, width),
  );
  const assignment = new Int32Array(n);
  const distance = new Float64Array(n);
  for await (const { start, rows, products } of rowProducts(values, centroids, width))
    for (let row = 0; row < rows; row++) {
      let nearest = 0;
      let least = Infinity;
      for (let k = 0; k < clusters; k++) {
        const relative = lengths[k]! - 2 * products[row * clusters + k]!; // |x - c|^2 - |x|^2
        if (relative >= least) continue;
        least = relative;
        nearest = k;
      }
      assignment[start + row] = nearest;
      distance[start + row] = squaredDistance(
        values,
        (start + row) * width,
        centroids,
        nearest * width,
        width,
      );
    }
  return { assignment, distance };
}

/** The assignment with each empty cluster given the row that lies furthest from its centroid. */
function withoutEmpty(nearest: Nearest, clusters: number): Int32Array {
  const assignment = nearest.assignment.slice();
  const distance = nearest.distance.slice();
  const sizes = new Int32Array(clusters);
  for (const cluster of assignment) sizes[cluster]!++;
  for (let k = 0; k < clusters; k++) {
    if (sizes[k]! > 0) continue;
    let furthest = -1;
    for (let row = 0; row < assignment.length; row++)
      if (sizes[assignment[row]!]! > 1 && (furthest === -1 || distance[row]! > distance[furthest]!))
        furthest = row;
    sizes[assignment[furthest]!]!--;
    sizes[k] = 1;
    assignment[furthest] = k;
    distance[furthest] = 0;
  }
  return assignment;
}

function centroidsOf(
  values: Float32Array,
  width: number,
  clusters: number,
  assignment: Int32Array,
): Float32Array {
  const sums = new Float64Array(clusters * width);
  const sizes = new Int32Array(clusters);
  assignment.forEach((cluster, row) => {
    sizes[cluster]!++;
    for (let i = 0; i < width; i++) sums[cluster * width + i]! += values[row * width + i]!;
  });
  return Float32Array.from(sums, (sum, i) => sum / Math.max(1, sizes[Math.floor(i / width)]!));
}

function squaredDistance(a: Float32Array, at: number, b: Float32Array, bt: number, width: number): number {
  let sum = 0;
  for (let i = 0; i < width; i++) sum += (a[at + i]! - b[bt + i]!) ** 2;
  return sum;
}

function squaredLength(values: Float32Array, at: number, width: number): number {
  let sum = 0;
  for (let i = at; i < at + width; i++) sum += values[i]! ** 2;
  return sum;
}

export interface ClusterScores {
  readonly ari: number;
  readonly nmi: number;
  /** Under the best one-to-one match of clusters to classes. */
  readonly accuracy: number;
  readonly macroF1: number;
}

export interface ClusterEvaluation extends ClusterScores {
  readonly perSeed: readonly (ClusterScores & { readonly seed: number })[];
  readonly spread: Readonly<Record<keyof ClusterScores, Spread>>;
}

/** Clusters features by k-means and compares the clusters with the classes; means over seeds. */
export async function clusterFeatures(
  rows: FeatureRows,
  {
    clusters,
    seeds = [0, 1, 2],
    ...options
  }: Partial<KMeansOptions> & { readonly seeds?: readonly number[] } = {},
): Promise<ClusterEvaluation> {
  expect(seeds.length > 0, "clusterFeatures: no seed given; pass for example [0, 1, 2]");
  const { features, labels } = labelledRows("clusterFeatures", "given", rows);
  const classes = new Set(labels).size;
  expect(
    classes > 1,
    `clusterFeatures: the labels hold ${classes} class; at least 2 are needed to compare with`,
  );
  const perSeed: (ClusterScores & { seed: number })[] = [];
  for (const seed of seeds) {
    const random = createRandom(seed).child("k-means");
    const found = await kMeans(features, rows.width, { clusters: clusters ?? classes, ...options }, random);
    perSeed.push({ seed, ...clusterScores(labels, found.assignment) });
  }
  const over = (key: keyof ClusterScores) => spread(perSeed.map((scores) => scores[key]));
  const spreads = {
    ari: over("ari"),
    nmi: over("nmi"),
    accuracy: over("accuracy"),
    macroF1: over("macroF1"),
  };
  return {
    ari: spreads.ari.mean,
    nmi: spreads.nmi.mean,
    accuracy: spreads.accuracy.mean,
    macroF1: spreads.macroF1.mean,
    perSeed,
    spread: spreads,
  };
}

/** Agreement of any clustering with classes. */
export function clusterScores(labels: ArrayLike<number>, found: ArrayLike<number>): ClusterScores {
  return {
    ari: adjustedRandIndex(labels, found),
    nmi: normalizedMutualInformation(labels, found),
    accuracy: clusteringAccuracy(labels, found),
    macroF1: clusteringF1(labels, found),
  };
}
