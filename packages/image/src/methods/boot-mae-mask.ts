/** Which patches BootMAE hides, and how much each of them counts. */
import * as tf from "@tensorflow/tfjs";
import { blockMask, type Mask, maskedFlags, maskFromOrders, type Random, visibleCount } from "@unmask/core";
import { imageGrid } from "../batch.js";

export interface MaskConfig {
  readonly imageSize: readonly [number, number];
  readonly patchSize: readonly [number, number];
  readonly maskRatio: number;
  readonly blockShare: number;
  readonly blockArea: readonly [number, number];
  readonly weightMask: boolean;
}

/**
 * Rectangles first: an order of patches with those outside them in front, rolled by 0 to 3 places so that a few from
 * inside are seen too; the first of the order are visible.
 */
export function drawMask(config: MaskConfig, batch: number, random: Random): Mask {
  const grid = imageGrid(config);
  const tokens = grid[0] * grid[1];
  const kept = visibleCount("boot-mae", tokens, config.maskRatio);
  const patches = (part: number) => Math.max(1, Math.round(part * tokens));
  const [minBlock, maxBlock] = config.blockArea.map(patches) as [number, number];
  const masked = Math.min(tokens - 1, Math.max(1, Math.trunc(tokens * config.blockShare)));
  const blocks = maskedFlags(blockMask({ batch, grid, masked, minBlock, maxBlock }, random));
  const orders = new Int32Array(batch * tokens);
  for (let b = 0; b < batch; b++) {
    const shuffled = [...random.permutation(tokens)];
    const inBlock = (token: number) => blocks[b * tokens + token] === 1;
    const order = [...shuffled.filter((token) => !inBlock(token)), ...shuffled.filter(inBlock)];
    const roll = random.int(4);
    orders.set([...order.slice(tokens - roll), ...order.slice(0, tokens - roll)], b * tokens);
  }
  return maskFromOrders(orders, batch, kept);
}

/** w of the loss: [B, N] */
export function patchWeights(
  { imageSize, patchSize, weightMask }: Pick<MaskConfig, "imageSize" | "patchSize" | "weightMask">,
  mask: Mask,
): tf.Tensor2D {
  const [rows, columns] = imageGrid({ imageSize, patchSize });
  const flags = maskedFlags(mask);
  const hidden = (b: number, row: number, column: number) =>
    row >= 0 && row < rows && column >= 0 && column < columns
      ? flags[(b * rows + row) * columns + column]!
      : 0;
  const weights = flags.map((flag, i) => {
    if (flag === 0 || !weightMask) return flag;
    const [b, row, column] = [Math.floor(i / mask.tokens), Math.floor(i / columns) % rows, i % columns];
    let around = 0;
    for (let near = 0; near < 9; near++)
      around += hidden(b, row + Math.floor(near / 3) - 1, column + (near % 3) - 1);
    return 1 + around / 9; // beyond the border counts as visible
  });
  return tf.tensor2d(weights, [mask.batch, mask.tokens]);
}
