/** Which cubes of a clip are hidden. */
import {
  expect,
  type Mask,
  maskedFlags,
  maskFromFlags,
  type Random,
  randomMask,
  scoreMask,
  tubeMask,
  whiteOf,
} from "@unmask/core";
import { z } from "zod";
import { type CubeConfig, cubeOf } from "./batch.js";
import { scoresInView } from "./read/view-scores.js";
import type { VideoSample } from "./sample.js";

/** The same places in all frames; any cubes; in each time slot, those where most moves. */
export type Masking = "tube" | "random" | "motion";

export const maskingSchema = z
  .enum(["tube", "random", "motion"])
  .describe(
    "hidden cubes: the same places in all frames, any cubes, or in each time slot the places that change most",
  );

type Grid = readonly [number, number, number];

export interface ClipMaskOptions extends CubeConfig {
  readonly masking: Masking;
  readonly maskRatio: number;
}

/** Share of the cubes that motion hides which are drawn at random instead, so that the mask differs between epochs. */
const MOTION_RANDOM_SHARE = 0.25;

/**
 * One mask for each clip of a batch.
 * @param grid cubes along [time, rows, columns]
 * @param samples the clips; looked at by motion-guided masks only
 */
export function drawClipMask(
  options: ClipMaskOptions,
  grid: Grid,
  samples: readonly VideoSample[],
  random: Random,
): Mask {
  const batch = samples.length;
  const { masking, maskRatio: ratio } = options;
  switch (masking) {
    case "tube":
      return tubeMask({ batch, grid, ratio }, random);
    case "random":
      return ascending(randomMask({ batch, tokens: grid[0] * grid[1] * grid[2], ratio }, random));
    case "motion":
      return slotScoreMask(
        {
          batch,
          grid,
          ratio,
          scores: motionScores(samples, options, grid),
          hide: "highest",
          randomShare: MOTION_RANDOM_SHARE,
        },
        random,
      );
  }
}

export interface SlotScoreMaskOptions {
  readonly batch: number;
  /** Cubes along [time, rows, columns]. */
  readonly grid: Grid;
  /** [B, time, rows, columns], one finite number a cube. */
  readonly scores: ArrayLike<number>;
  /** Share of each time slot's cubes to hide; trunc(ratio * cells) of them are. */
  readonly ratio: number;
  readonly hide: "highest" | "lowest";
  /** Share of the hidden cubes drawn at random instead. */
  readonly randomShare: number;
}

/** Hides the cubes of highest (or lowest) score, as many in every time slot; visible cubes ascend. */
export function slotScoreMask({ batch, grid, ...options }: SlotScoreMaskOptions, random: Random): Mask {
  return maskFromFlags(maskedFlags(scoreMask({ batch: batch * grid[0], ...options }, random)), batch);
}

/**
 * How much each cube moves: the mean over its pixels of the absolute change since the frame before (white being 1), the
 * first frame's being that of the second. [B * time * rows * columns]
 */
export function motionScores(samples: readonly VideoSample[], config: CubeConfig, grid: Grid): Float32Array {
  const [cubeFrames, cubeHeight, cubeWidth] = cubeOf(config);
  const [, rows, columns] = grid;
  const cells = grid[0] * rows * columns;
  const scores = new Float32Array(samples.length * cells);
  samples.forEach(({ pixels, frames, height, width, channels }, b) => {
    const frameSize = height * width * channels;
    const share = 1 / (whiteOf(pixels) * cubeFrames * cubeHeight * cubeWidth * channels);
    for (let frame = 0; frame < frames && frames > 1; frame++) {
      const now = Math.max(frame, 1) * frameSize;
      const slot = b * cells + Math.floor(frame / cubeFrames) * rows * columns;
      for (let i = 0; i < frameSize; i++) {
        const row = Math.floor(i / (width * channels * cubeHeight));
        const column = Math.floor((i % (width * channels)) / (channels * cubeWidth));
        const change = Math.abs(pixels[now + i]! - pixels[now - frameSize + i]!);
        scores[slot + row * columns + column]! += change * share;
      }
    }
  });
  return scores;
}

/** The same mask with visible and masked cubes in ascending order. */
const ascending = (mask: Mask) => maskFromFlags(maskedFlags(mask), mask.batch);

/** Scores of the patches of one clip's frames. */
export interface ScoreMaps {
  /** [frames, rows, columns] */
  readonly scores: Float32Array;
  /** Rows and columns of the scores. */
  readonly scoreGrid: readonly [number, number];
}

export interface TextGuidedMaskOptions {
  /** One for each clip. */
  readonly maps: readonly ScoreMaps[];
  /** Cubes along [time, rows, columns]. */
  readonly grid: Grid;
  /** Frames of a cube. */
  readonly tubeletSize: number;
  /** Share of each time slot's cubes to hide; floor(ratio * cells) of them are. */
  readonly ratio: number;
  readonly hide: "highest" | "lowest";
  /** Weight of random numbers beside the ranks of scores; 0: the scores alone, 1: a random mask. Default 0. */
  readonly noise?: number;
}

/**
 * Hides what fits a caption best (or least): scores are resized bilinearly to the grid, averaged over the frames of each
 * cube, and ranked in each time slot; of equal scores the lower index goes first. Visible cubes ascend.
 */
export function textGuidedMask(options: TextGuidedMaskOptions, random: Random): Mask {
  const { maps, grid, tubeletSize, ratio, hide, noise = 0 } = options;
  expect(noise >= 0 && noise <= 1, `text-guided mask: noise must be between 0 and 1, got ${noise}`);
  const [slots, rows, columns] = grid;
  const cells = rows * columns;
  const scores = new Float64Array(maps.length * slots * cells);
  maps.forEach(({ scores: map, scoreGrid }, b) => {
    const frames = slots * tubeletSize;
    expect(
      map.length === frames * scoreGrid[0] * scoreGrid[1],
      () =>
        `text-guided mask: clip ${b} has ${map.length} scores where ${frames} frames of ${scoreGrid.join("x")} are needed`,
    );
    const whole = { times: Array.from({ length: frames }, (_, i) => (i + 0.5) / frames), flip: false };
    const resized = scoresInView(map, [frames, ...scoreGrid], { ...whole, box: [0, 0, 1, 1] }, [
      rows,
      columns,
    ]);
    for (let frame = 0; frame < frames; frame++)
      for (let cell = 0; cell < cells; cell++)
        scores[(b * slots + Math.floor(frame / tubeletSize)) * cells + cell]! +=
          resized[frame * cells + cell]! / tubeletSize;
  });
  const ranked = noise === 0 ? scores : noisyRanks(scores, cells, hide, noise, random);
  return slotScoreMask({ batch: maps.length, grid, scores: ranked, ratio, hide, randomShare: 0 }, random);
}

/** (1 - noise) * rank in its row + noise * a random number, both in [0, 1); of equal scores the lower index is hidden first. */
function noisyRanks(
  scores: Float64Array,
  cells: number,
  hide: "highest" | "lowest",
  noise: number,
  random: Random,
): Float64Array {
  const mixed = new Float64Array(scores.length);
  for (let start = 0; start < scores.length; start += cells) {
    const order = Array.from({ length: cells }, (_, i) => i).sort((i, j) => {
      const up = scores[start + i]! - scores[start + j]!;
      return up || (hide === "highest" ? j - i : i - j);
    });
    order.forEach((cell, rank) => {
      mixed[start + cell] = ((1 - noise) * rank) / cells;
    });
    for (let cell = 0; cell < cells; cell++) mixed[start + cell]! += noise * random.uniform();
  }
  return mixed;
}
