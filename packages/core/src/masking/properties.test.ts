/** What holds for every strategy, whatever its options. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UnmaskError } from "../errors.js";
import { createRandom, type Random } from "../random.js";
import * as masking from "./index.js";
import { type Mask, maskedFlags } from "./index.js";

const size = (max: number, min = 1) => fc.integer({ min, max });
const ratio = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }, // mostly close to the ends
);
const stripes = fc.oneof(fc.constant(0), ratio);

/** Options of any kind, valid or not, and the masks that they make. */
const strategies: Record<string, fc.Arbitrary<(random: Random) => Mask[]>> = {
  random: fc
    .record({ batch: size(3), tokens: size(40), ratio })
    .map((options) => (random) => [masking.randomMask(options, random)]),
  "random, kept": fc
    .record({ batch: size(3), tokens: size(40), kept: size(40) })
    .map((options) => (random) => [masking.randomMask(options, random)]),
  block: fc
    .record({ batch: size(3), grid: fc.tuple(size(9), size(9)), ratio, minBlock: size(20) })
    .map((options) => (random) => [masking.blockMask(options, random)]),
  grid: fc
    .array(fc.record({ cells: size(4), step: size(3) }), { minLength: 1, maxLength: 3 })
    .map((axes) => (random) => [
      masking.gridMask(
        { batch: 2, grid: axes.map(({ cells, step }) => cells * step), stride: axes.map(({ step }) => step) },
        random,
      ),
    ]),
  tube: fc
    .record({ batch: size(3), grid: fc.tuple(size(4), size(5), size(5)), ratio })
    .map((options) => (random) => [masking.tubeMask(options, random)]),
  frame: fc
    .record({ batch: size(3), frames: size(9), tokensPerFrame: size(6), ratio })
    .map((options) => (random) => [masking.frameMask(options, random)]),
  "time-frequency": fc
    .record({ batch: size(3), grid: fc.tuple(size(9), size(9)), timeRatio: stripes, frequencyRatio: stripes })
    .map((options) => (random) => [masking.timeFrequencyMask(options, random)]),
  "joint-frame": fc
    .record({ batch: size(3), frames: size(9), joints: size(9), frameRatio: stripes, jointRatio: stripes })
    .map((options) => (random) => [masking.jointFrameMask(options, random)]),
  node: fc
    .record({ nodes: size(60), ratio })
    .map((options) => (random) => [masking.nodeMask(options, random)]),
  span: fc
    .record({
      batch: size(3),
      tokens: size(50),
      ratio,
      span: fc.oneof(size(12), fc.constant({ mean: 3.8, max: 10 })),
    })
    .map((options) => (random) => [masking.spanMask(options, random)]),
  score: fc
    .record({
      batch: size(3),
      tokens: size(20),
      ratio,
      share: ratio,
      hide: fc.constantFrom("highest", "lowest"),
    })
    .map(({ batch, tokens, ratio, share, hide }) => (random) => [
      masking.scoreMask(
        { batch, scores: random.uniforms(batch * tokens), ratio, hide, randomShare: share },
        random,
      ),
    ]),
  disjoint: fc
    .record({ batch: size(3), tokens: size(30), ratio })
    .map((options) => (random) => masking.disjointMasks(options, random)),
  partition: fc
    .record({ batch: size(3), tokens: size(30), ratio })
    .map((options) => (random) => masking.partitionMasks(options, random)),
};

/** The masks, or the error that refused the options. */
function attempt(make: (random: Random) => Mask[], seed: number): Mask[] | UnmaskError {
  try {
    return make(createRandom(seed));
  } catch (error) {
    if (error instanceof UnmaskError) return error;
    throw error;
  }
}

function checkMask(mask: Mask): void {
  const { batch, tokens, kept, keep, masked, restore } = mask;
  expect(kept).toBeGreaterThanOrEqual(1);
  expect(kept).toBeLessThan(tokens);
  expect([keep.length, masked.length, restore.length]).toEqual([
    batch * kept,
    batch * (tokens - kept),
    batch * tokens,
  ]);
  for (let b = 0; b < batch; b++) {
    const order = [
      ...keep.subarray(b * kept, (b + 1) * kept),
      ...masked.subarray(b * (tokens - kept), (b + 1) * (tokens - kept)),
    ];
    expect([...order].sort((i, j) => i - j)).toEqual(Array.from({ length: tokens }, (_, i) => i));
    expect(Array.from(restore.subarray(b * tokens, (b + 1) * tokens), (place) => order[place])).toEqual(
      Array.from({ length: tokens }, (_, i) => i),
    );
  }
  expect(maskedFlags(mask).reduce((sum, flag) => sum + flag, 0)).toBe(masked.length);
}

describe.each(Object.entries(strategies))("%s mask", (_, arbitrary) => {
  it("is a permutation with its inverse, keeps a token and masks one, and repeats with the seed", () => {
    let made = 0;
    fc.assert(
      fc.property(arbitrary, fc.integer(), (make, seed) => {
        const masks = attempt(make, seed);
        if (masks instanceof UnmaskError) {
          expect(masks.message).toMatch(/mask: .*(; .*(use|mask at|give|choose)|smaller)/);
          return;
        }
        made++;
        masks.forEach(checkMask);
        expect(attempt(make, seed)).toEqual(masks);
      }),
      { numRuns: 150 },
    );
    expect(made).toBeGreaterThan(20);
  });
});

/** The ratio that a message proposes. */
const proposed = (message: string) => Number(/use at (?:most|least) ([\d.]+)$/.exec(message)?.[1]);

describe("a refused ratio", () => {
  it.each([
    [
      "random",
      (tokens: number, r: number, random: Random) =>
        masking.randomMask({ batch: 1, tokens, ratio: r }, random),
    ],
    [
      "node",
      (tokens: number, r: number, random: Random) => masking.nodeMask({ nodes: tokens, ratio: r }, random),
    ],
    [
      "disjoint",
      (tokens: number, r: number, random: Random) =>
        masking.disjointMasks({ batch: 1, tokens, ratio: r }, random),
    ],
  ])("is answered by one that works: %s mask", (_, make) => {
    fc.assert(
      fc.property(size(3000, 2), fc.oneof(ratio, fc.constantFrom(0, 0.001, 0.9, 0.98, 1)), (tokens, r) => {
        const random = createRandom(1);
        try {
          make(tokens, r, random);
        } catch (error) {
          make(tokens, proposed((error as Error).message), random);
        }
      }),
      { numRuns: 300 },
    );
  });
});
