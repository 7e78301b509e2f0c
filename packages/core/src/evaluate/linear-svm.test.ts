import { describe, expect, it } from "vitest";
import { createRandom } from "../random.js";
import { fewShot } from "./few-shot.js";
import { linearSvm } from "./linear-svm.js";

/** Three classes around the axes; decisions of scikit-learn 1.9's LinearSVC(C=0.5, tol=1e-10). */
// biome-ignore format: numbers
const train = [2.76, 0.4, 0.98, 2.24, 2.87, -0.98, 0.95, -0.15, 0.9, 1.41, 0.14, 1.45, 0.76, 1.12, 0.44, 0.33, 1.49, 0.79, 1.31, -0.85, -2.55, 0.65, 1.86, -0.74, 2.27, -1.45, 1.05, 0.81, 1.53, 1.47, 0.15, 1.38, -0.89, -1.98, -0.35, 1.16, 2.23, 1.2, -0.39, -0.3, -0.05, -1.42, -1.71, 1.95, 0.49, 0.56, -1.25, 0.78, -1.61, 0.79, -0.9, 0.39, -0.51, -0.18, 0.97, 0.43, 0.07, 0.3, 0.37, -0.36, -0.67, -0.36, 0.19, -0.73, 0.18, -0.4, -1.63, 1.46, -0.91, 0.05, 0.73, 1.13];
// biome-ignore format: numbers
const queries = [1.14, -1.23, 0.4, -0.68, -0.87, -0.58, -0.31, 0.06, -1.17, 0.9, 0.47, -1.54, 1.49, 1.9, 1.18, -0.18, -1.07, 1.05];
// biome-ignore format: numbers
const decisions = [0.23017, -1.588124, 0.009376, -0.416058, -0.585518, -0.027567, -0.488322, 0.102686, -0.832249, -0.20125, 0.286113, -1.658717, -0.229528, -0.595463, -0.593532, -0.191025, -1.634772, 0.880596];

const rows = (values: readonly number[], labels: readonly number[]) => ({
  features: Float32Array.from(values),
  width: 3,
  labels: Int32Array.from(labels),
});
const support = rows(
  train,
  Array.from({ length: 24 }, (_, i) => i % 3),
);

describe("linearSvm", () => {
  it("decides as scikit-learn's LinearSVC", () => {
    const scores = linearSvm(support, rows(queries, [0, 2, 1, 1, 0, 2]), {
      C: 0.5,
      standardise: false,
      tolerance: 1e-9,
      maxIterations: 100_000,
    });
    expect(scores.converged).toBe(true);
    scores.decisions.forEach((value, i) => {
      expect(value).toBeCloseTo(decisions[i]!, 5);
    });
    expect(scores.top1).toBe(1);
  });

  it("gives the same answer whatever the order of coordinates, and says when it stopped early", () => {
    const test = rows(queries, [0, 2, 1, 1, 0, 2]);
    const [a, b] = [0, 1].map((seed) => linearSvm(support, test, { seed, tolerance: 1e-9 }).decisions);
    a!.forEach((value, i) => {
      expect(b![i]).toBeCloseTo(value, 6);
    });
    expect(linearSvm(support, test, { maxIterations: 1 }).converged).toBe(false);
    expect(() => linearSvm(support, test, { C: 0 })).toThrow("C must be positive");
  });
});

describe("fewShot", () => {
  const random = createRandom(3);
  const labels = Array.from({ length: 60 }, (_, i) => i % 5);
  const noise = (share: number) => ({
    features: Float32Array.from({ length: 60 * 5 }, (_, i) => {
      const own = labels[Math.floor(i / 5)] === i % 5 ? 1 : 0;
      return share * random.normal() + (1 - share) * own;
    }),
    width: 5,
    labels: Int32Array.from(labels),
  });

  it("tells classes apart that lie apart, and guesses where nothing tells them apart", () => {
    expect(fewShot(noise(0.05), { ways: 5, shots: 3 }).top1.mean).toBe(1);
    const chance = fewShot(noise(1), { ways: 5, shots: 3, episodes: 40 }).top1.mean;
    expect(Math.abs(chance - 0.2)).toBeLessThan(0.08);
  });

  it("draws the same episodes again, and only classes with samples to spare", () => {
    const rows = noise(0.5);
    const twice = [0, 0].map((seed) => fewShot(rows, { ways: 3, shots: 4, seed }).perEpisode);
    expect(twice[0]).toEqual(twice[1]);
    expect(twice[0]).toHaveLength(10);
    expect(() => fewShot(rows, { ways: 5, shots: 12 })).toThrow("0 classes have more than 12 samples");
  });
});
