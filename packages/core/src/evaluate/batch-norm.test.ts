import { expect, it } from "vitest";
import { BatchNorm } from "./batch-norm.js";

it("follows PyTorch's BatchNorm1d through two batches and into evaluation", () => {
  const norm = new BatchNorm(2);
  const first = Float32Array.of(1, 10, 2, 30, 6, 20);
  const second = Float32Array.of(-1, 5, 3, 5);
  norm.normaliseBatch(first);
  norm.normaliseBatch(second);
  // PyTorch 2.13: m = BatchNorm1d(2, eps=1e-6, affine=False); m(a); m(b); m.eval(); m(c)
  [-0.92582, -1.224745, -0.46291, 1.224745, 1.38873, 0].forEach((value, i) => {
    expect(first[i]).toBeCloseTo(value, 5);
  });
  [-1, 0, 1, 0].forEach((value, i) => {
    expect(second[i]).toBeCloseTo(value, 5);
  });
  const values = Float32Array.of(1, 2, 3, 4);
  const evaluated = norm.normalise(values);
  [0.420936, -0.095783, 1.757242, 0.542768].forEach((value, i) => {
    expect(evaluated[i]).toBeCloseTo(value, 5);
  });
  expect([...values]).toEqual([1, 2, 3, 4]);
});
