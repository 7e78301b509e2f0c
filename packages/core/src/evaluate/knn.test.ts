import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { digitsTest, digitsTrain, reference } from "../../test/digits.js";
import { knn } from "./knn.js";
import { rowProducts } from "./row-products.js";

describe.each(["cpu", "wasm"])("knn on %s", (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it("predicts what scikit-learn predicts with the same weights", async () => {
    const before = tf.memory().numTensors;
    const weighted = await knn(digitsTrain, digitsTest);
    expect([...weighted.predicted]).toEqual(reference.knn.weighted.predicted);
    expect(weighted.top1).toBeCloseTo(reference.knn.weighted.accuracy, 12);
    const majority = await knn(digitsTrain, digitsTest, { temperature: "majority" });
    expect([...majority.predicted]).toEqual(reference.knn.majority.predicted);
    expect(weighted.top5).toBeGreaterThan(weighted.top1);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("knn", () => {
  const rows = (features: number[], labels: number[]) => ({
    features: Float32Array.from(features),
    width: 2,
    labels: Int32Array.from(labels),
  });

  it("takes the first of equal neighbours and the lower of equal classes", async () => {
    const train = rows([1, 0, 1, 0, 2, 0, 0, 1], [2, 1, 1, 0]);
    expect([...(await knn(train, rows([3, 0], [2]), { k: 1 })).predicted]).toEqual([2]);
    expect([...(await knn(train, rows([3, 0], [2]), { k: 2 })).predicted]).toEqual([1]);
    expect([...(await knn(train, rows([3, 0], [2]), { k: 3 })).predicted]).toEqual([1]);
  });

  it("lets a near neighbour outvote two far ones, unless all count the same", async () => {
    const train = rows([1, 0.1, 0, 1, 0.1, 1], [1, 0, 0]);
    const test = rows([1, 0], [1]);
    expect((await knn(train, test, { k: 3 })).top1).toBe(1);
    expect((await knn(train, test, { k: 3, temperature: "majority" })).top1).toBe(0);
  });

  it("leaves unlabelled rows out and lets all of a small train set vote", async () => {
    const train = rows([1, 0, 0, 1, 1, 0], [0, 1, -1]);
    const scores = await knn(train, rows([1, 0, 0, 1, 1, 1], [0, 1, -1]), { k: 20 });
    expect(scores).toMatchObject({ top1: 1, top5: 1 });
    expect([...scores.confusion.counts]).toEqual([1, 0, 0, 1]);
  });

  it("says what is missing", async () => {
    const train = rows([1, 0, 0, 1], [0, 1]);
    const { features, width } = train;
    await expect(knn({ features, width }, train)).rejects.toThrow("knn: the train set has no labels");
    await expect(knn(train, rows([1, 0], [-1]))).rejects.toThrow("knn: the test set has no labels");
    await expect(knn(rows([1, 0, 0, 1], [1, 1]), train)).rejects.toThrow("at least 2 are needed");
    await expect(knn(train, rows([1, 0], [4]))).rejects.toThrow("label 4 is outside the 2 classes of train");
    const [ab, ac] = [
      { ...train, classes: ["a", "b"] },
      { ...train, classes: ["a", "c"] },
    ];
    await expect(knn(ab, ac)).rejects.toThrow("different classes (b only in train, c only in test)");
    await expect(knn(ab, { ...ab, classes: ["b", "a"] })).rejects.toThrow("the same names in another order");
    await expect(knn(train, rows([Number.NaN, 0], [1]))).rejects.toThrow(
      "row 0 of the test features is not finite",
    );
    await expect(knn(train, { ...train, width: 1, features: features.subarray(0, 2) })).rejects.toThrow(
      "train features are 2 wide, test features 1",
    );
    await expect(knn(train, train, { k: 0 })).rejects.toThrow("k must be a positive integer");
  });

  it("computes products in blocks that cover every row once", async () => {
    const a = Float32Array.from({ length: 7 * 2 }, (_, i) => i);
    const b = Float32Array.of(1, 0, 0, 1, 1, 1);
    const seen: number[] = [];
    for await (const { start, rows, products } of rowProducts(a, b, 2, 6)) {
      expect(rows).toBeLessThanOrEqual(2);
      expect(start * 3).toBe(seen.length);
      seen.push(...products);
    }
    expect(seen).toEqual(Array.from({ length: 7 }, (_, r) => [2 * r, 2 * r + 1, 4 * r + 1]).flat());
  });
});
