import { expect, it } from "vitest";
import { createRandom } from "../random.js";
import { retrieval, retrievalOfPairs } from "./retrieval.js";

it("ranks the right item of each query", () => {
  const similarities = Float32Array.of(9, 1, 1, 1, /**/ 5, 4, 3, 2, /**/ 1, 2, 0, 3, /**/ 0, 0, 0, 1);
  const found = retrieval(similarities, 4, 4, { k: [1, 2, 3] });
  expect([...found.ranks]).toEqual([1, 2, 4, 1]);
  expect(found.recall).toEqual({ 1: 0.5, 2: 0.75, 3: 0.75 });
  expect(found.medianRank).toBe(1.5);
  expect(found.meanRank).toBe(2);
});

it("takes another match than the diagonal, for several queries of one item", () => {
  const similarities = Float32Array.of(1, 2, /**/ 2, 1, /**/ 3, 4);
  expect([...retrieval(similarities, 3, 2, { match: [1, 1, 0] }).ranks]).toEqual([1, 2, 2]);
  expect(() => retrieval(similarities, 3, 2)).toThrow("pass `match` when item i does not belong to query i");
});

it("gives a model that maps everything to one point no credit", async () => {
  const ones = new Float32Array(40).fill(1);
  const { forward } = await retrievalOfPairs(ones, ones, 2);
  expect(forward.medianRank).toBe(10.5);
  expect(forward.recall[1]).toBe(0.05);
});

it("compares embeddings by angle, both ways", async () => {
  const random = createRandom(5);
  const first = random.normals(30 * 8);
  const second = first.map((v, i) => v * (1 + Math.floor(i / 8))); // other lengths, same directions
  const same = await retrievalOfPairs(first, second, 8);
  expect(same.forward.recall[1]).toBe(1);
  expect(same.backward.medianRank).toBe(1);
  const noisy = await retrievalOfPairs(
    first,
    second.map((v) => v + 20 * random.normal()),
    8,
  );
  expect(noisy.forward.recall[1]!).toBeLessThan(1);
  expect([...noisy.forward.ranks]).not.toEqual([...noisy.backward.ranks]);
});

it("refuses what is not a number", () => {
  expect(() => retrieval(Float32Array.of(1, Number.NaN, 0, 1), 2, 2)).toThrow("similarity 0, 1 is NaN");
});
