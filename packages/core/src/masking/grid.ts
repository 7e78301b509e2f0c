import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents } from "./count.js";
import { maskFromFlags } from "./flags.js";
import type { Mask } from "./mask.js";

export interface GridMaskOptions {
  readonly batch: number;
  /** Cells in each dimension, for example [rows, columns]. */
  readonly grid: readonly number[];
  /** One cell of every `stride` cells stays visible in each dimension; must divide the grid. */
  readonly stride: readonly number[];
}

/**
 * Regular masking: the visible cells stand on a lattice, [2, 2] keeping one of every four. Each sample's lattice
 * starts at a random offset below the stride. Visible tokens ascend.
 */
export function gridMask({ batch, grid, stride }: GridMaskOptions, random: Random): Mask {
  checkExtents("grid", { batch, grid, stride });
  expect(
    grid.length === stride.length && grid.every((cells, axis) => cells % stride[axis]! === 0),
    () =>
      `grid mask: stride ${stride.join(" x ")} does not divide the grid ${grid.join(" x ")}; choose divisors of it`,
  );
  expect(
    stride.some((step) => step > 1),
    () => `grid mask: stride ${stride.join(" x ")} masks no token; use 2 or more in one dimension`,
  );
  const tokens = grid.reduce((a, b) => a * b, 1);
  const flags = new Uint8Array(batch * tokens);
  for (let b = 0; b < batch; b++) {
    const offset = stride.map((step) => random.int(step));
    for (let token = 0; token < tokens; token++) {
      let rest = token;
      for (let axis = grid.length - 1; axis >= 0; axis--) {
        const cell = rest % grid[axis]!;
        rest = Math.floor(rest / grid[axis]!);
        if (cell % stride[axis]! !== offset[axis]) flags[b * tokens + token] = 1;
      }
    }
  }
  return maskFromFlags(flags, batch);
}
