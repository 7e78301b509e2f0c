import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../random.js";
import { createSampler } from "./sampler.js";

const epoch = (sampler: ReturnType<typeof createSampler>, e: number) =>
  Array.from({ length: sampler.stepsPerEpoch }, (_, i) => [
    ...sampler.indicesOf(e * sampler.stepsPerEpoch + i),
  ]);

describe("sampler", () => {
  it("gives every epoch full batches of different samples", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 70 }), (length, batch) => {
        const sampler = createSampler(length, batch, createRandom(5));
        for (const e of [0, 3]) {
          const batches = epoch(sampler, e);
          const seen = batches.flat();
          expect(batches.every(({ length: size }) => size === sampler.batchSize)).toBe(true);
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.every((index) => index >= 0 && index < length)).toBe(true);
          expect(length - seen.length).toBeLessThan(sampler.batchSize);
        }
      }),
    ));

  it("orders epochs differently, and alike for the same seed, from whichever step it is asked", () => {
    const sampler = createSampler(30, 4, createRandom(5));
    const first = epoch(sampler, 0);
    expect(epoch(sampler, 1)).not.toEqual(first);
    expect(epoch(sampler, 0)).toEqual(first);
    expect(createSampler(30, 4, createRandom(5)).indicesOf(17)).toEqual(sampler.indicesOf(17));
    expect(epoch(createSampler(30, 4, createRandom(6)), 0)).not.toEqual(first);
  });

  it("takes a smaller data set whole", () => {
    const sampler = createSampler(3, 128, createRandom(1));
    expect([sampler.batchSize, sampler.stepsPerEpoch]).toEqual([3, 1]);
    expect([...sampler.indicesOf(9)].sort()).toEqual([0, 1, 2]);
  });

  it("refuses an empty one", () => expect(() => createSampler(0, 4, createRandom(1))).toThrow(/empty/));

  it("keeps to an order that is given, in every epoch, and refuses one that leaves a sample out", () => {
    const order = Int32Array.of(3, 0, 4, 1, 2);
    const sampler = createSampler(5, 2, createRandom(5), order);
    for (const e of [0, 2])
      expect(epoch(sampler, e)).toEqual([
        [3, 0],
        [4, 1],
      ]);
    for (const wrong of [
      [0, 1, 2],
      [0, 1, 2, 3, 3],
    ])
      expect(() => createSampler(5, 2, createRandom(5), Int32Array.from(wrong))).toThrow(
        "each of 5 samples once",
      );
  });
});
