import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents, checkMasked, visibleCount } from "./count.js";
import { type Mask, maskFromOrders } from "./mask.js";

/** Either the ratio to mask, counted as MAE does, or the number of tokens to keep. */
export type RandomMaskOptions = { readonly batch: number; readonly tokens: number } & (
  | { readonly ratio: number; readonly kept?: undefined }
  | { readonly kept: number; readonly ratio?: undefined }
);

/** Random masking of MAE: every sample on its own, visible tokens in shuffled order. */
export function randomMask(options: RandomMaskOptions, random: Random): Mask {
  const { batch, tokens } = options;
  checkExtents("random", { batch, tokens });
  const kept = options.ratio === undefined ? options.kept : visibleCount("random", tokens, options.ratio);
  checkMasked("random", tokens, tokens - kept);
  return maskFromOrders(argsortRows(random.uniforms(batch * tokens), batch), batch, kept);
}

/**
 * Random masking of MAE from given noise: tokens in the order of rising noise, the first trunc(N * (1 - ratio)) of
 * them visible; equal noise stays in the order of tokens.
 * @param noise [B, N]
 */
export function maskFromNoise(noise: ArrayLike<number>, batch: number, ratio: number): Mask {
  const tokens = noise.length / batch;
  expect(
    Number.isInteger(tokens),
    () => `maskFromNoise: ${noise.length} values do not divide into ${batch} samples; pass [B, N] of them`,
  );
  return maskFromOrders(argsortRows(noise, batch), batch, visibleCount("random", tokens, ratio));
}

/** [B, N]: for every row the indices that sort it, ascending and stable. */
export function argsortRows(values: ArrayLike<number>, batch: number): Int32Array {
  const width = values.length / batch;
  const orders = new Int32Array(values.length);
  for (let b = 0; b < batch; b++) {
    const row = orders.subarray(b * width, (b + 1) * width);
    for (let i = 0; i < width; i++) row[i] = i;
    row.sort((i, j) => values[b * width + i]! - values[b * width + j]! || i - j);
  }
  return orders;
}
