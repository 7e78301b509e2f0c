import fc from "fast-check";
import { describe, expect, it } from "vitest";
import reference from "../../test/fixtures/evaluate/metrics.json" with { type: "json" };
import {
  accuracy,
  argmaxRows,
  averagePrecision,
  confusionMatrix,
  macroF1,
  meanAveragePrecision,
  topKAccuracy,
} from "./metrics.js";
import {
  adjustedRandIndex,
  assignmentOfLeastCost,
  clusteringAccuracy,
  clusteringF1,
  matchClusters,
  normalizedMutualInformation,
} from "./partitions.js";

describe("metrics equal scikit-learn's", () => {
  it.each(reference.classification)("classification", (set) => {
    const classes = set.scores[0]!.length;
    const scores = Float32Array.from(set.scores.flat());
    const predicted = argmaxRows(scores, classes);
    expect(accuracy(predicted, set.labels)).toBeCloseTo(set.accuracy, 12);
    expect(topKAccuracy(scores, set.labels, classes, 1)).toBeCloseTo(set.accuracy, 12);
    expect(topKAccuracy(scores, set.labels, classes, 3)).toBeCloseTo(set.top3, 12);
    expect(macroF1(predicted, set.labels)).toBeCloseTo(set.macroF1, 12);
    expect([...confusionMatrix(predicted, set.labels, classes).counts]).toEqual(set.confusion.flat());
  });

  it.each(reference.multilabel)("mean average precision, with tied scores and an empty class", (set) => {
    const scores = Float32Array.from(set.scores.flat());
    expect(meanAveragePrecision(scores, set.targets.flat(), set.scores[0]!.length)).toBeCloseTo(
      set.macro,
      12,
    );
    set.perClass.forEach((ap, c) => {
      const column = (rows: number[][]) => rows.map((row) => row[c]!);
      expect(averagePrecision(column(set.scores), column(set.targets))).toBeCloseTo(ap, 12);
    });
  });

  it.each(reference.partitions)("partitions of unequal numbers of parts", ({ labels, found, ...set }) => {
    expect(adjustedRandIndex(labels, found)).toBeCloseTo(set.ari, 12);
    expect(normalizedMutualInformation(labels, found)).toBeCloseTo(set.nmi, 12);
    expect(clusteringAccuracy(labels, found)).toBeCloseTo(set.accuracy, 12);
  });
});

describe("metrics by hand", () => {
  it("counts a label as hit only when fewer than k classes come before it; equal scores rank by class", () => {
    const scores = [0.5, 0.5, 0.5, 0.1];
    expect(topKAccuracy(scores, [1], 4, 1)).toBe(0);
    expect(topKAccuracy(scores, [1], 4, 2)).toBe(1);
    expect(topKAccuracy(scores, [3], 4, 5)).toBe(1);
    expect([...argmaxRows(scores, 4)]).toEqual([0]);
    expect(topKAccuracy([Number.NaN, Number.NaN], [0], 2, 1)).toBe(0);
  });

  it("renames clusters to classes and leaves no class to two of them", () => {
    expect([...matchClusters([5, 5, 5, 8, 8], [1, 1, 0, 0, 2])]).toEqual([5, 5, 8, 8, -3]);
    expect(clusteringF1([5, 5, 5, 8, 8], [1, 1, 0, 0, 2])).toBeCloseTo((0.8 + 0.5 + 0) / 3, 12);
  });

  it("renaming parts changes no agreement, and equal partitions agree fully", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { minLength: 2, maxLength: 40 }), (labels) => {
        const renamed = labels.map((label) => 7 - label);
        expect(adjustedRandIndex(labels, renamed)).toBeCloseTo(1, 10);
        expect(normalizedMutualInformation(labels, renamed)).toBeCloseTo(1, 10);
        expect(clusteringF1(labels, renamed)).toBeCloseTo(1, 10);
      }),
    );
  });

  it("finds the assignment of least cost among all", () => {
    const permutations = (items: number[]): number[][] =>
      items.length < 2
        ? [items]
        : items.flatMap((item) =>
            permutations(items.filter((i) => i !== item)).map((rest) => [item, ...rest]),
          );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(fc.integer({ min: -9, max: 9 })),
        (n, stream) => {
          const cost = Float64Array.from({ length: n * n }, () => stream.next().value as number);
          const total = (columns: ArrayLike<number>) =>
            Array.from(columns).reduce((sum, c, r) => sum + cost[r * n + c]!, 0);
          const least = Math.min(...permutations([...Array(n).keys()]).map(total));
          const found = assignmentOfLeastCost(cost, n);
          expect(new Set(found).size).toBe(n);
          expect(total(found)).toBe(least);
        },
      ),
    );
  });

  it("says what does not fit", () => {
    expect(() => accuracy([1], [1, 2])).toThrow(
      "accuracy: expected two lists of equal length, at least 1, got 1 and 2",
    );
    expect(() => topKAccuracy([1, 2], [-1], 2, 1)).toThrow(
      "label -1 is outside 0..1; leave unlabelled samples out",
    );
    expect(() => argmaxRows([1, 2, 3], 2)).toThrow("3 scores are no whole number of rows of 2 classes");
    expect(() => confusionMatrix([2], [0], 2)).toThrow("class 0 taken for 2, expected both in 0..1");
  });
});
