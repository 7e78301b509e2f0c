/**
 * A mask is data: made on the host from a seeded generator, so that every engine sees the same one.
 * Every sample of a batch keeps the same number of tokens, so that batches stay rectangular.
 */
import { expect } from "../errors.js";

export interface Mask {
  /** B, the samples of the batch. */
  readonly batch: number;
  /** N, the tokens of a sample. */
  readonly tokens: number;
  /** K, the visible tokens of a sample. */
  readonly kept: number;
  /** [B, K]: token index of every visible token, in the order in which the encoder sees them. */
  readonly keep: Int32Array;
  /** [B, N-K]: token index of every masked token, in decoder order. */
  readonly masked: Int32Array;
  /** [B, N]: where token i stands in `[keep, masked]`; below K it is visible. */
  readonly restore: Int32Array;
}

/**
 * A mask from one order of tokens per sample: the first `kept` of each are visible.
 * @param orders B permutations of 0..N-1, concatenated: [B, N].
 */
export function maskFromOrders(orders: Int32Array, batch: number, kept: number): Mask {
  const tokens = orders.length / batch;
  expect(
    Number.isInteger(tokens) && Number.isInteger(kept) && kept >= 1 && kept < tokens,
    `mask: keeps ${kept} of ${tokens} tokens; at least one must be kept and one masked`,
  );
  const hidden = tokens - kept;
  const keep = new Int32Array(batch * kept);
  const masked = new Int32Array(batch * hidden);
  const restore = new Int32Array(batch * tokens).fill(-1);
  for (let b = 0; b < batch; b++) {
    const order = orders.subarray(b * tokens, (b + 1) * tokens);
    keep.set(order.subarray(0, kept), b * kept);
    masked.set(order.subarray(kept), b * hidden);
    for (let i = 0; i < tokens; i++) {
      const token = order[i]!;
      const at = b * tokens + token;
      expect(
        token >= 0 && token < tokens && restore[at] === -1,
        () => `mask: order of sample ${b} is not a permutation of 0..${tokens - 1}`,
      );
      restore[at] = i;
    }
  }
  return { batch, tokens, kept, keep, masked, restore };
}

/** [B, N]: 1 where a token is masked, 0 where it is visible. */
export function maskedFlags(mask: Mask): Float32Array {
  return Float32Array.from(mask.restore, (place) => (place >= mask.kept ? 1 : 0));
}

/** The same mask over a sequence that a class token, always visible, was put in front of. */
export function withClassToken({ batch, tokens, kept, keep, masked, restore }: Mask): Mask {
  const shift = (places: Int32Array, perSample: number, first: readonly number[]) => {
    const width = perSample + first.length;
    const shifted = new Int32Array(batch * width);
    for (let b = 0; b < batch; b++) {
      shifted.set(first, b * width);
      for (let i = 0; i < perSample; i++)
        shifted[b * width + first.length + i] = places[b * perSample + i]! + 1;
    }
    return shifted;
  };
  return {
    batch,
    tokens: tokens + 1,
    kept: kept + 1,
    keep: shift(keep, kept, [0]),
    masked: shift(masked, tokens - kept, []),
    restore: shift(restore, tokens, [0]),
  };
}
