import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents, checkMasked, hiddenCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

/** Either the ratio to mask, trunc(ratio * N) tokens, or their number. */
export type BlockMaskOptions = {
  readonly batch: number;
  /** [rows, columns] */
  readonly grid: readonly [number, number];
  /** Least area of a block, in tokens; default 16. */
  readonly minBlock?: number;
  /** Largest area of a block; default all that is still to be masked. */
  readonly maxBlock?: number;
  /** Range of height / width of a block; default 0.3 to 1 / 0.3. */
  readonly aspect?: readonly [number, number];
} & (
  | { readonly ratio: number; readonly masked?: undefined }
  | { readonly masked: number; readonly ratio?: undefined }
);

/**
 * Blockwise masking of BEiT: rectangles of random area, aspect and place, until as many tokens are hidden as asked
 * for. BEiT stops short of the number when no further rectangle fits; here the rest are single tokens, drawn at
 * random, so that every sample masks exactly as many. Visible tokens ascend.
 */
export function blockMask(options: BlockMaskOptions, random: Random): Mask {
  const {
    batch,
    grid,
    minBlock = 16,
    maxBlock = Number.POSITIVE_INFINITY,
    aspect = [0.3, 1 / 0.3],
  } = options;
  checkExtents("block", { batch, grid, minBlock });
  const tokens = grid[0] * grid[1];
  const masked = options.ratio === undefined ? options.masked : hiddenCount("block", tokens, options.ratio);
  checkMasked("block", tokens, masked);
  expect(
    maxBlock >= minBlock,
    () => `block mask: maxBlock ${maxBlock} is below minBlock ${minBlock}; give both, the smaller first`,
  );
  expect(
    aspect[0] > 0 && aspect[1] >= aspect[0],
    () => `block mask: aspect must be [least, largest] above 0, got [${aspect}]`,
  );
  return maskHiding(batch, tokens, () => {
    const hidden = new Set<number>();
    while (hidden.size < masked) {
      const room = masked - hidden.size;
      const fresh = newBlock(
        grid,
        hidden,
        Math.min(minBlock, room),
        Math.min(maxBlock, room),
        aspect,
        random,
      );
      if (fresh.length === 0) break;
      for (const token of fresh) hidden.add(token);
    }
    for (const token of random.permutation(tokens)) if (hidden.size < masked) hidden.add(token);
    return hidden;
  });
}

/** The tokens that one more rectangle would hide, at most `most`; none when ten tries found no place for one. */
function newBlock(
  [rows, columns]: readonly [number, number],
  hidden: ReadonlySet<number>,
  least: number,
  most: number,
  aspect: readonly [number, number],
  random: Random,
): number[] {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = between(least, most);
    const shape = Math.exp(between(Math.log(aspect[0]), Math.log(aspect[1])));
    const height = Math.round(Math.sqrt(area * shape));
    const width = Math.round(Math.sqrt(area / shape));
    if (height < 1 || width < 1 || height > rows || width > columns) continue;
    const top = random.int(rows - height + 1);
    const left = random.int(columns - width + 1);
    const fresh = Array.from(
      { length: height * width },
      (_, i) => (top + Math.floor(i / width)) * columns + left + (i % width),
    ).filter((token) => !hidden.has(token));
    if (fresh.length > 0 && fresh.length <= most) return fresh;
  }
  return [];
}
