import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { digitsTest, digitsTrain, reference } from "../../test/digits.js";
import type { FeatureRows } from "./labelled.js";
import { logisticRegression } from "./logistic-regression.js";

const close = (actual: ArrayLike<number>, expected: number[], tolerance: number) =>
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value)).toBeLessThan(tolerance);
  });

describe.each(["cpu", "wasm"])("logisticRegression on %s", (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each(reference.fits)("predicts what scikit-learn predicts at C = $C", async (fit) => {
    const before = tf.memory().numTensors;
    const scores = await logisticRegression(digitsTrain, digitsTest, { C: fit.C });
    expect(scores.converged).toBe(true);
    expect(scores.top1).toBeCloseTo(fit.accuracy, 12);
    expect([...scores.predicted]).toEqual(fit.predicted);
    close(scores.probabilities, fit.firstProbabilities.flat(), 2e-3);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("fits two classes as scikit-learn does, with one weight vector", async () => {
    const halves = (rows: FeatureRows) => ({
      features: rows.features,
      width: rows.width,
      labels: rows.labels!.map((label) => (label >= 5 ? 1 : 0)),
    });
    const { C, predicted, firstProbabilities } = reference.binary;
    const scores = await logisticRegression(halves(digitsTrain), halves(digitsTest), { C });
    expect([...scores.predicted]).toEqual(predicted);
    close(scores.probabilities, firstProbabilities.flat(), 1e-3);
    expect(scores.top5).toBe(1);
  });
});

describe("logisticRegression", () => {
  beforeAll(async () => {
    await tf.setBackend("wasm");
  });

  it("chooses C on held-out training rows, never on test", async () => {
    const options = { C: [1e-6, 0.1], seed: 3 };
    const scores = await logisticRegression(digitsTrain, digitsTest, options);
    expect(scores.C).toBe(0.1);
    expect(scores.tried.map(({ C }) => C)).toEqual([1e-6, 0.1]);
    const shuffled = { ...digitsTest, labels: digitsTest.labels.map((label) => (label + 1) % 10) };
    expect((await logisticRegression(digitsTrain, shuffled, options)).C).toBe(0.1);
    const alone = await logisticRegression(digitsTrain, digitsTest, { C: 0.1 });
    expect([...scores.predicted]).toEqual([...alone.predicted]);
  });

  it("does not depend on the scale of a column when standardising, and survives a constant one", async () => {
    const moved = (rows: FeatureRows): FeatureRows => ({
      ...rows,
      features: rows.features.map((v, i) => (i % 64 === 20 ? 1e3 * v + 5 : i % 64 === 0 ? 0.1 : v)),
    });
    const [plain, scaled] = [
      await logisticRegression(digitsTrain, digitsTest),
      await logisticRegression(moved(digitsTrain), moved(digitsTest)),
    ];
    expect([...scaled.predicted]).toEqual([...plain.predicted]);
  });

  it("says when it ran out of iterations", async () => {
    expect(await logisticRegression(digitsTrain, digitsTest, { maxIterations: 3 })).toMatchObject({
      converged: false,
      iterations: 3,
    });
  });
});
