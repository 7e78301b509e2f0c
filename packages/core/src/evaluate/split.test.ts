import fc from "fast-check";
import { expect, it } from "vitest";
import { createRandom } from "../random.js";
import { stratifiedSplit } from "./split.js";

it("holds out its share of every class, each sample on one side only, the same for the same seed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(3), { minLength: 8, maxLength: 60 }),
      fc.constantFrom(0.25, 0.5, 0.75),
      fc.nat(99),
      (drawn, fraction, seed) => {
        const labels = Int32Array.of(...drawn, 0, 0, 0, 0);
        const { train, held } = stratifiedSplit(labels, fraction, createRandom(seed));
        expect([...train, ...held].sort((a, b) => a - b)).toEqual([...labels.keys()]);
        for (const label of new Set(labels)) {
          const count = (rows: Int32Array) => rows.filter((row) => labels[row] === label).length;
          const all = count(train) + count(held);
          expect(count(train)).toBeGreaterThan(0);
          expect(Math.abs(count(held) - fraction * all)).toBeLessThanOrEqual(1);
        }
        expect(stratifiedSplit(labels, fraction, createRandom(seed))).toEqual({ train, held });
      },
    ),
  );
});

it("draws another part for another seed, and says when nothing can be held out", () => {
  const labels = Int32Array.from({ length: 40 }, (_, i) => i % 2);
  const held = (seed: number) => [...stratifiedSplit(labels, 0.25, createRandom(seed)).held];
  expect(held(1)).not.toEqual(held(2));
  expect(() => stratifiedSplit(Int32Array.of(0, 1), 0.5, createRandom(0))).toThrow("holds out none");
  expect(() => stratifiedSplit(labels, 1, createRandom(0))).toThrow("fraction must be in (0, 1)");
});
