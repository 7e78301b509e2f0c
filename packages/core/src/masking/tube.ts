import type { Random } from "../random.js";
import { checkExtents, hiddenCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

export interface TubeMaskOptions {
  readonly batch: number;
  /** [time slots, rows, columns] */
  readonly grid: readonly [number, number, number];
  /** Share of the cells of a frame to mask; trunc(ratio * cells) of them are. */
  readonly ratio: number;
}

/** Tube masking of VideoMAE: one random spatial mask per sample, the same in every time slot; visible tokens ascend. */
export function tubeMask({ batch, grid, ratio }: TubeMaskOptions, random: Random): Mask {
  checkExtents("tube", { batch, grid });
  const [slots, rows, columns] = grid;
  const cells = rows * columns;
  const hidden = hiddenCount("tube", cells, ratio, "cells of a frame");
  return maskHiding(batch, slots * cells, () => {
    const tubes = random.permutation(cells).subarray(0, hidden);
    return Array.from({ length: slots }, (_, slot) =>
      Array.from(tubes, (cell) => slot * cells + cell),
    ).flat();
  });
}
