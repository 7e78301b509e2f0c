import * as tf from "@tensorflow/tfjs";
import { createRandom } from "@unmask/core";
import { beforeAll, describe, expect, it } from "vitest";
import { graphFolds } from "./graph-folds.js";
import { nodeProbe } from "./node-probe.js";
import { squaredDistances, svmPredict } from "./svm.js";

beforeAll(() => tf.setBackend("cpu"));

const random = createRandom(2);
/** Points in rings of their own radius for each class. */
function circles(each: number, classes: number) {
  const points = new Float32Array(2 * each * classes);
  const labels = new Int32Array(each * classes);
  for (let i = 0; i < labels.length; i++) {
    labels[i] = i % classes;
    const [angle, radius] = [2 * Math.PI * random.uniform(), 1 + labels[i]! + 0.2 * random.normal()];
    points.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * i);
  }
  return { points, labels };
}
const range = (from: number, to: number) => Int32Array.from({ length: to - from }, (_, i) => from + i);

describe("svmPredict", () => {
  it("has the decision values of two points that can be written down", () => {
    // alpha = 1 / (1 - k) for two points of opposite sign, k their kernel: the boundary lies in the middle.
    const points = Float32Array.of(0, 1, 0.49, 0.51);
    const kernel = squaredDistances(points, 1).map((d) => Math.exp(-d));
    const found = svmPredict(kernel, Int32Array.of(0, 1, -1, -1), range(0, 2), range(2, 4), {
      C: 100,
      tolerance: 1e-9,
    });
    expect([...found]).toEqual([0, 1]);
  });

  it("tells rings apart that no line does, two or three of them", () => {
    for (const classes of [2, 3]) {
      const { points, labels } = circles(40, classes);
      const kernel = squaredDistances(points, 2).map((d) => Math.exp(-d));
      const [train, test] = [range(0, 30 * classes), range(30 * classes, 40 * classes)];
      const found = svmPredict(kernel, labels, train, test, { C: 10 });
      const right = test.filter((row, i) => labels[row] === found[i]).length / test.length;
      expect(right).toBeGreaterThan(0.85);
    }
  });
});

describe("graphFolds", () => {
  it("is near one where classes are apart, near chance where they are not", () => {
    const { points, labels } = circles(30, 2);
    expect(graphFolds(points, labels, { folds: 5 }).mean).toBeGreaterThan(0.85);
    const shuffled = labels.slice();
    createRandom(4)
      .permutation(60)
      .forEach((at, i) => {
        shuffled[i] = labels[at]!;
      });
    expect(graphFolds(points, shuffled, { folds: 5 }).mean).toBeLessThan(0.7);
  });
  it("says what it needs", () => {
    expect(() => graphFolds(new Float32Array(4), new Int32Array(4))).toThrow(
      "4 graphs of 1 classes in 10 folds",
    );
    expect(() => graphFolds(Float32Array.of(Number.NaN, 1), Int32Array.of(0, 1))).toThrow(
      "one finite row for each",
    );
  });
});

describe("nodeProbe", () => {
  const labels = Int32Array.from({ length: 60 }, (_, i) => i % 3);
  const features = Float32Array.from({ length: 180 }, (_, i) =>
    i % 3 === labels[Math.floor(i / 3)] ? 1 : 0,
  );
  const split = { train: range(0, 12), validation: range(12, 30), test: range(30, 60) };
  it("finds what is linear", () => {
    const scores = nodeProbe(features, labels, split, { epochs: 60, lr: 0.1 });
    expect(scores).toEqual({ earlyStopped: 1, last: 1, validation: 1 });
  });
  it("leaves no tensors, and refuses nodes without labels", () => {
    const before = tf.memory().numTensors;
    nodeProbe(features, labels, split, { epochs: 2 });
    expect(tf.memory().numTensors).toBe(before);
    const unknown = labels.with(40, -1);
    expect(() => nodeProbe(features, unknown, split)).toThrow("all of them a label");
  });
});
