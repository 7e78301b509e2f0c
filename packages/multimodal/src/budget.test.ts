import { createRandom } from "@unmask/core";
import { expect, it } from "vitest";
import { drawBudget, drawDirichlet, maskByBudget } from "./budget.js";

it("draws shares with the means of the Dirichlet distribution", () => {
  const random = createRandom(1);
  const sums = [0, 0, 0];
  for (let i = 0; i < 2000; i++)
    for (const [m, share] of drawDirichlet([8, 1, 1], random).entries()) sums[m]! += share;
  [0.8, 0.1, 0.1].forEach((mean, m) => {
    expect(Math.abs(sums[m]! / 2000 - mean)).toBeLessThan(0.01); // deviation of the mean 0.003
  });
  expect(drawDirichlet([0, 1], random)).toEqual([0, 1]);
});

it("sees as many tokens of every sample, never of a modality that it lacks", () => {
  const present = Array.from({ length: 50 }, (_, b) => [true, b % 2 === 0, b % 3 > 0]);
  const draws = drawBudget(
    [9, 9, 4],
    50,
    { concentrations: [1, 1, 1], subsets: true, present },
    createRandom(3),
  );
  const mask = maskByBudget([9, 9, 4], 6, draws, present);
  expect(mask.kept).toBe(6);
  for (let b = 0; b < 50; b++) {
    const seen = [...mask.keep.subarray(b * 6, (b + 1) * 6)].map((token) =>
      token < 9 ? 0 : token < 18 ? 1 : 2,
    );
    expect(seen.every((m) => present[b]![m])).toBe(true);
  }
});

it("gives each modality its share of the budget, halves rounded to even", () => {
  const seen = (shares: number[]) => {
    const noise = [0, 1].map(() => Float32Array.from({ length: 6 }, (_, i) => i / 6));
    const order = Float32Array.from({ length: 12 }, (_, i) => i / 12);
    const mask = maskByBudget([6, 6], 5, { shares: [shares], noise, order });
    return [...mask.keep].filter((token) => token < 6).length;
  };
  expect(seen([0.6, 0.4])).toBe(3);
  expect(seen([0.5, 0.5])).toBe(2 + 1); // 2.5 each: two of each by rounding, one more in the order of all
  expect(seen([1, 0])).toBe(5);
  expect(() =>
    maskByBudget([2, 2], 5, {
      shares: [[1, 0]],
      noise: [
        [0, 1],
        [0, 1],
      ],
      order: [0, 0, 0, 0],
    }),
  ).toThrow("sample 0 has 4 tokens and 5 are to be visible");
});
