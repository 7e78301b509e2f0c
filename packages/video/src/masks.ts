/** Which cubes of a clip are hidden. */
import {
  type Mask,
  maskedFlags,
  maskFromFlags,
  type Random,
  randomMask,
  scoreMask,
  tubeMask,
} from "@unmask/core";
import { z } from "zod";
import { type CubeConfig, cubeOf, whiteOf } from "./batch.js";
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
