import { createRandom, maskedFlags } from "@unmask/core";
import { expect, it } from "vitest";
import { drawClipMask, motionScores } from "./masks.js";
import type { VideoSample } from "./sample.js";

const cubes = { tubeletSize: 2, patchSize: [2, 2] } as const;
const grid = [3, 4, 4] as const;

/** Six black frames of 8x8 with a white pixel that jumps inside the cell (row, column) of its time slot. */
function jumping(cells: readonly (readonly [number, number])[]): VideoSample {
  const pixels = new Uint8Array(6 * 64);
  cells.forEach(([row, column], slot) => {
    for (const [frame, dx] of [
      [2 * slot, 0],
      [2 * slot + 1, 1],
    ] as const)
      pixels[frame * 64 + 2 * row * 8 + 2 * column + dx] = 255;
  });
  return { pixels, frames: 6, height: 8, width: 8, channels: 1 };
}

const flagsOf = (
  masking: "tube" | "random" | "motion",
  maskRatio: number,
  samples: VideoSample[],
  seed = 1,
) => {
  const mask = drawClipMask({ ...cubes, masking, maskRatio }, grid, samples, createRandom(seed));
  const rows = samples.map((_, b) => [...mask.keep.subarray(b * mask.kept, (b + 1) * mask.kept)]);
  for (const row of rows) expect(row).toEqual([...row].sort((a, b) => a - b));
  return maskedFlags(mask);
};

it("hides the same places in all frames with tubes, and not with random cubes", () => {
  const samples = [jumping([]), jumping([])];
  const slots = (flags: Float32Array, b: number) =>
    [0, 1, 2].map((t) => [...flags.slice(b * 48 + t * 16, b * 48 + (t + 1) * 16)]);
  const tubes = flagsOf("tube", 0.75, samples);
  for (const b of [0, 1]) {
    const [first, ...others] = slots(tubes, b);
    expect(first!.filter(Boolean).length).toBe(12);
    for (const other of others) expect(other).toEqual(first);
  }
  expect(slots(tubes, 0)).not.toEqual(slots(tubes, 1));
  const random = slots(flagsOf("random", 0.75, samples), 0);
  expect(random.flat().filter(Boolean).length).toBe(36);
  expect(random[1]).not.toEqual(random[0]);
});

it("measures motion as the mean change of a cube's pixels", () => {
  const scores = motionScores(
    [
      jumping([
        [0, 1],
        [2, 3],
      ]),
    ],
    cubes,
    grid,
  );
  expect(scores.length).toBe(48);
  // Slot 0: both frames take the change between frames 0 and 1, two pixels of eight each.
  expect(scores[1]).toBeCloseTo(4 / 8, 6);
  expect([...scores.slice(0, 16)].filter((score) => score > 0).length).toBe(1);
  // Slot 1: frame 2 differs from frame 1 in the old place and the new one, frame 3 in the new one.
  expect(scores[16 + 1]).toBeCloseTo(1 / 8, 6);
  expect(scores[16 + 2 * 4 + 3]).toBeCloseTo(3 / 8, 6);
  // Slot 2: what was there is gone.
  expect(scores[32 + 2 * 4 + 3]).toBeCloseTo(1 / 8, 6);
});

it("hides where things move, as many cubes in every time slot", () => {
  const cells = [
    [0, 1],
    [2, 3],
    [3, 0],
  ] as const;
  const counts = new Float32Array(48);
  for (let seed = 0; seed < 10; seed++) {
    const flags = flagsOf("motion", 0.25, [jumping(cells)], seed);
    for (const t of [0, 1, 2]) expect(flags.slice(t * 16, t * 16 + 16).filter(Boolean).length).toBe(4);
    flags.forEach((flag, i) => {
      counts[i]! += flag;
    });
  }
  cells.forEach(([row, column], t) => {
    expect(counts[t * 16 + row * 4 + column]).toBe(10);
  });
  expect(counts.filter((n) => n > 0 && n < 10).length).toBeGreaterThan(5); // a part is drawn at random
});
