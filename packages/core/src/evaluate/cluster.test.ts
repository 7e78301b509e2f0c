import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { digitsTrain, reference } from "../../test/digits.js";
import { createRandom } from "../random.js";
import { clusterFeatures, kMeans } from "./cluster.js";

beforeAll(async () => {
  await tf.setBackend("wasm");
});

describe("kMeans", () => {
  it("reaches scikit-learn's inertia on the digits", async () => {
    const before = tf.memory().numTensors;
    const found = await kMeans(digitsTrain.features, 64, { clusters: 10 }, createRandom(1));
    expect(found.inertia / reference.kMeansInertia).toBeLessThan(1.005);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("is a fixed point: every row is nearest to its own centroid, every centroid the mean of its rows", async () => {
    const { features } = digitsTrain;
    const { assignment, centroids } = await kMeans(
      features,
      64,
      { clusters: 6, restarts: 1 },
      createRandom(2),
    );
    const distance = (row: number, k: number) => {
      let sum = 0;
      for (let i = 0; i < 64; i++) sum += (features[row * 64 + i]! - centroids[k * 64 + i]!) ** 2;
      return sum;
    };
    assignment.forEach((own, row) => {
      for (let k = 0; k < 6; k++) expect(distance(row, own)).toBeLessThanOrEqual(distance(row, k) + 1e-3);
    });
    for (let k = 0; k < 6; k++) {
      const rows = [...assignment.keys()].filter((row) => assignment[row] === k);
      const mean = rows.reduce((sum, row) => sum + features[row * 64 + 20]!, 0) / rows.length;
      expect(centroids[k * 64 + 20]).toBeCloseTo(mean, 4);
    }
  });

  it("separates far blobs, also far from zero, and stands more clusters than distinct rows", async () => {
    const random = createRandom(3);
    const blobs = Float32Array.from(
      { length: 60 },
      (_, i) => 1e4 + 50 * (Math.floor(i / 2) % 3) + random.normal(),
    );
    const { assignment } = await kMeans(blobs, 2, { clusters: 3 }, random);
    expect(new Set(assignment).size).toBe(3);
    assignment.forEach((cluster, row) => {
      expect(cluster).toBe(assignment[row % 3]);
    });
    const equal = await kMeans(new Float32Array(8).fill(1), 2, { clusters: 4 }, random);
    expect(equal.inertia).toBe(0);
    await expect(kMeans(new Float32Array(8), 2, { clusters: 5 }, random)).rejects.toThrow(
      "1 to 4 clusters for 4 rows",
    );
  });
});

describe("clusterFeatures", () => {
  it("measures agreement with the classes over seeds, the same for the same seeds", async () => {
    const options = { seeds: [0, 1, 2], restarts: 3 };
    const scores = await clusterFeatures(digitsTrain, options);
    expect(scores.spread.ari.n).toBe(3);
    expect(scores.ari).toBeGreaterThan(0.5);
    expect(scores.nmi).toBeGreaterThan(0.6);
    expect(scores.accuracy).toBeGreaterThan(0.6);
    expect(scores.accuracy).toBeCloseTo(scores.perSeed.reduce((sum, s) => sum + s.accuracy, 0) / 3, 12);
    expect(await clusterFeatures(digitsTrain, options)).toEqual(scores);
  });

  it("needs labels of two classes", async () => {
    const { features, width } = digitsTrain;
    await expect(clusterFeatures({ features, width })).rejects.toThrow("the given set has no labels");
    const labels = new Int32Array(500);
    await expect(clusterFeatures({ features, width, labels })).rejects.toThrow("the labels hold 1 class");
  });
});
