/** What each strategy promises beyond being a mask. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../random.js";
import {
  blockMask,
  disjointMasks,
  frameMask,
  gridMask,
  jointFrameMask,
  type Mask,
  maskedFlags,
  maskFromFlags,
  maskFromNoise,
  nodeMask,
  partitionMasks,
  randomMask,
  scoreMask,
  spanMask,
  timeFrequencyMask,
  tubeMask,
} from "./index.js";

const random = () => createRandom(7);
const seeds = fc.integer();

/** Flags of sample `b` in rows of `width`. */
function rows(mask: Mask, b: number, width: number): number[][] {
  const flags = Array.from(maskedFlags(mask).subarray(b * mask.tokens, (b + 1) * mask.tokens));
  return Array.from({ length: mask.tokens / width }, (_, r) => flags.slice(r * width, (r + 1) * width));
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe("random mask", () => {
  it("keeps as many as the truncated float product says", () => {
    const kept = (tokens: number, ratio: number) => randomMask({ batch: 1, tokens, ratio }, random()).kept;
    expect(kept(196, 0.75)).toBe(49);
    expect(kept(1024, 0.7)).toBe(307);
    expect(kept(750, 0.9)).toBe(74);
  });

  it("takes tokens in the order of given noise, equal noise in the order of tokens", () => {
    const mask = maskFromNoise([0.5, 0.1, 0.5, 0.1, 0.9, 0.2, 0.2, 0], 2, 0.5);
    expect([...mask.keep]).toEqual([1, 3, 3, 1]);
    expect([...mask.masked]).toEqual([0, 2, 2, 0]);
    expect([...mask.restore]).toEqual([2, 0, 3, 1, 3, 1, 2, 0]);
  });

  it("masks every token equally often", () => {
    const mask = randomMask({ batch: 4000, tokens: 10, kept: 4 }, random());
    const often = new Array<number>(10).fill(0);
    for (const token of mask.masked) often[token]!++;
    for (const count of often) expect(Math.abs(count / 4000 - 0.6)).toBeLessThan(0.04);
  });

  it("says which ratio is possible", () => {
    expect(() => randomMask({ batch: 1, tokens: 16, ratio: 0.98 }, random())).toThrow(
      "random mask: ratio 0.98 keeps 0 of 16 tokens; use at most 0.93",
    );
    expect(() => randomMask({ batch: 1, tokens: 10, ratio: 0.9 }, random())).toThrow("use at most 0.89");
    expect(() => randomMask({ batch: 1, tokens: 16, ratio: 0 }, random())).toThrow(
      "random mask: ratio 0 masks 0 of 16 tokens; use at least 0.01",
    );
    expect(() => randomMask({ batch: 1, tokens: 16, ratio: 75 }, random())).toThrow("not between 0 and 1");
    expect(() => randomMask({ batch: 1, tokens: 1, ratio: 0.5 }, random())).toThrow("use smaller patches");
    expect(() => randomMask({ batch: 1, tokens: 16, kept: 16 }, random())).toThrow("masks 0 of 16 tokens");
  });
});

describe("mask from flags", () => {
  it("keeps the order of tokens and refuses samples of unequal counts", () => {
    const mask = maskFromFlags([1, 0, 1, 0, 0, 1, 1, 0], 2);
    expect([...mask.keep]).toEqual([1, 3, 0, 3]);
    expect([...mask.masked]).toEqual([0, 2, 1, 2]);
    expect(() => maskFromFlags([1, 0, 1, 1], 2)).toThrow("sample 1 keeps 0 of 2 tokens, sample 0 keeps 1");
  });
});

describe("block mask", () => {
  it("hides exactly as many tokens as asked for, most of them next to another hidden one", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const mask = blockMask({ batch: 2, grid: [14, 14], masked: 120 }, createRandom(seed));
        expect(mask.kept).toBe(76);
        const cells = rows(mask, 1, 14);
        const touching = cells.flatMap((row, r) =>
          row.map(
            (flag, c) => flag === 1 && (row[c - 1] || row[c + 1] || cells[r - 1]?.[c] || cells[r + 1]?.[c]),
          ),
        );
        expect(touching.filter(Boolean).length).toBeGreaterThan(110);
      }),
      { numRuns: 30 },
    );
  });

  it("is one rectangle within the bounds when a single block makes the count", () => {
    const mask = blockMask({ batch: 20, grid: [8, 8], masked: 16, minBlock: 16, aspect: [1, 1] }, random());
    for (let b = 0; b < 20; b++) {
      const filled = rows(mask, b, 8).filter((row) => sum(row) > 0);
      expect(filled.map(sum)).toEqual([4, 4, 4, 4]);
      expect(new Set(filled.map((row) => row.indexOf(1))).size).toBe(1);
    }
  });
});

describe("grid mask", () => {
  it("keeps a lattice whose offset varies", () => {
    const mask = gridMask({ batch: 16, grid: [4, 6], stride: [2, 3] }, random());
    expect(mask.kept).toBe(4);
    const offsets = new Set<number>();
    for (let b = 0; b < 16; b++) {
      const [first, ...others] = [...mask.keep.subarray(b * 4, b * 4 + 4)];
      expect(others.map((token) => token - first!)).toEqual([3, 12, 15]);
      offsets.add(first!);
    }
    expect(offsets.size).toBeGreaterThan(2);
  });

  it("refuses a stride that does not divide the grid", () => {
    expect(() => gridMask({ batch: 1, grid: [5, 4], stride: [2, 2] }, random())).toThrow(
      "grid mask: stride 2 x 2 does not divide the grid 5 x 4",
    );
  });
});

describe("tube mask", () => {
  it("is the same in every time slot, different between samples, visible tokens ascending", () => {
    const mask = tubeMask({ batch: 4, grid: [8, 14, 14], ratio: 0.9 }, random());
    expect(mask.tokens - mask.kept).toBe(8 * 176);
    for (let b = 0; b < 4; b++) {
      const slots = rows(mask, b, 196);
      for (const slot of slots) expect(slot).toEqual(slots[0]);
      const keep = [...mask.keep.subarray(b * mask.kept, (b + 1) * mask.kept)];
      expect(keep).toEqual([...keep].sort((i, j) => i - j));
    }
    expect(rows(mask, 0, 196)[0]).not.toEqual(rows(mask, 1, 196)[0]);
  });
});

describe("frame mask", () => {
  it("hides frames whole", () => {
    const mask = frameMask({ batch: 3, frames: 10, tokensPerFrame: 5, ratio: 0.45 }, random());
    for (let b = 0; b < 3; b++) {
      const frames = rows(mask, b, 5).map(sum);
      expect(frames.filter((hidden) => hidden === 5).length).toBe(4);
      expect(frames.filter((hidden) => hidden === 0).length).toBe(6);
    }
  });
});

describe("time-frequency mask", () => {
  it("keeps the crossings of the times and frequencies that are left", () => {
    const mask = timeFrequencyMask(
      { batch: 3, grid: [64, 8], timeRatio: 0.6, frequencyRatio: 0.5 },
      random(),
    );
    expect(mask.kept).toBe(25 * 4);
    for (let b = 0; b < 3; b++) {
      const times = rows(mask, b, 8).filter((row) => sum(row) < 8);
      expect(times.length).toBe(25);
      for (const row of times) expect(row).toEqual(times[0]);
    }
  });

  it("makes time stripes or frequency stripes alone", () => {
    const time = timeFrequencyMask({ batch: 1, grid: [10, 4], timeRatio: 0.5, frequencyRatio: 0 }, random());
    expect(new Set(rows(time, 0, 4).map(sum))).toEqual(new Set([0, 4]));
    const frequency = timeFrequencyMask(
      { batch: 1, grid: [10, 4], timeRatio: 0, frequencyRatio: 0.5 },
      random(),
    );
    expect(new Set(rows(frequency, 0, 4).map(sum))).toEqual(new Set([2]));
  });
});

describe("joint-frame mask", () => {
  it("hides 12 frames whole and 15 joints in each of the other 18", () => {
    const options = { batch: 2, frames: 30, joints: 25, frameRatio: 0.4, jointRatio: 0.6 };
    const mask = jointFrameMask(options, random());
    expect(mask.kept).toBe(180);
    const frames = rows(mask, 1, 25);
    expect(frames.map(sum).sort((a, b) => a - b)).toEqual([...Array(18).fill(15), ...Array(12).fill(25)]);
    expect(new Set(frames.map(String)).size).toBeGreaterThan(10); // joints are drawn anew in every frame
  });

  it("works with frames or joints alone", () => {
    const base = { batch: 1, frames: 10, joints: 5 };
    expect(jointFrameMask({ ...base, frameRatio: 0.5, jointRatio: 0 }, random()).kept).toBe(25);
    expect(jointFrameMask({ ...base, frameRatio: 0, jointRatio: 0.4 }, random()).kept).toBe(30);
    expect(() => jointFrameMask({ ...base, frameRatio: 1, jointRatio: 0 }, random())).toThrow(
      "joint-frame mask: ratio 1 keeps 0 of 10 frames; use at most 0.99",
    );
  });
});

describe("node mask", () => {
  it("hides the truncated share of the nodes", () => {
    const mask = nodeMask({ nodes: 2708, ratio: 0.3 }, random());
    expect([mask.batch, mask.masked.length]).toEqual([1, 812]);
  });
});

describe("span mask", () => {
  const runs = (flags: readonly number[]) =>
    flags
      .join("")
      .split("0")
      .filter(Boolean)
      .map((run) => run.length);

  it("hides long runs, exactly as many tokens as asked for", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const mask = spanMask({ batch: 1, tokens: 200, ratio: 0.4, span: 10 }, createRandom(seed));
        expect(mask.kept).toBe(120);
        const lengths = runs(rows(mask, 0, 200)[0]!);
        expect(sum(lengths)).toBe(80);
        expect(lengths.length).toBeLessThanOrEqual(15);
      }),
      { numRuns: 50 },
    );
  });

  it("draws geometric lengths, cut at the maximum", () => {
    const mask = spanMask({ batch: 40, tokens: 1000, ratio: 0.05, span: { mean: 5, max: 10 } }, random());
    const lengths = Array.from({ length: 40 }, (_, b) => runs(rows(mask, b, 1000)[0]!)).flat();
    expect(new Set(lengths).size).toBeGreaterThan(5);
    expect(sum(lengths) / lengths.length).toBeGreaterThan(2.5);
  });
});

describe("score mask", () => {
  const scores = [0.1, 0.9, 0.9, 0.3, 0.9, 0.2];

  it("hides the highest or the lowest, lower index first among equals", () => {
    const hidden = (hide: "highest" | "lowest") => [
      ...scoreMask({ batch: 1, scores, ratio: 0.34, hide }, random()).masked,
    ];
    expect(hidden("highest")).toEqual([1, 2]);
    expect(hidden("lowest")).toEqual([0, 5]);
  });

  it("leaves a share of the masked tokens to chance", () => {
    const ranks = Float32Array.from({ length: 4000 }, (_, i) => i % 100);
    const mask = scoreMask(
      { batch: 40, scores: ranks, ratio: 0.5, hide: "highest", randomShare: 0.2 },
      random(),
    );
    const top = Array.from(mask.masked).filter((token) => token >= 60).length;
    const chance = Array.from(mask.masked).filter((token) => token < 60).length;
    expect([top, chance]).toEqual([40 * 40, 40 * 10]);
  });

  it("masks as many in every frame when its flags are joined", () => {
    const perFrame = scoreMask(
      { batch: 6, scores: random().uniforms(24), ratio: 0.5, hide: "lowest" },
      random(),
    );
    const clips = maskFromFlags(maskedFlags(perFrame), 2);
    expect([clips.batch, clips.tokens, clips.kept]).toEqual([2, 12, 6]);
    expect(rows(clips, 1, 4).map(sum)).toEqual([2, 2, 2]);
  });

  it("refuses scores that are not finite", () => {
    expect(() =>
      scoreMask({ batch: 1, scores: [0, Number.NaN, 1], ratio: 0.5, hide: "lowest" }, random()),
    ).toThrow("score mask: score 1 is NaN");
  });
});

describe("complementary masks", () => {
  it("share no masked token", () => {
    const [one, two] = disjointMasks({ batch: 3, tokens: 17, ratio: 0.4 }, random()).map(maskedFlags);
    expect(one!.some((flag, i) => flag === 1 && two![i] === 1)).toBe(false);
    expect(sum([...one!])).toBe(sum([...two!]));
    expect(() => disjointMasks({ batch: 1, tokens: 16, ratio: 0.75 }, random())).toThrow(
      "disjoint mask: ratio 0.75 masks 12 of 16 tokens; use at most 0.5",
    );
  });

  it("share out all tokens", () => {
    const [one, two] = partitionMasks({ batch: 3, tokens: 17, ratio: 0.75 }, random()).map(maskedFlags);
    expect([...one!].map((flag, i) => flag + two![i]!)).toEqual(new Array(51).fill(1));
  });
});
