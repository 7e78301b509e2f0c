import type { Random } from "../random.js";
import { checkExtents, checkRatio, visibleCount } from "./count.js";
import { type Mask, maskFromOrders } from "./mask.js";

export interface ComplementaryMaskOptions {
  readonly batch: number;
  readonly tokens: number;
  readonly ratio: number;
}

/**
 * Two random masks of the same ratio that share no masked token, so the ratio is at most one half. At exactly one half
 * of an even number of tokens each token is masked in one and visible in the other.
 */
export function disjointMasks(
  { batch, tokens, ratio }: ComplementaryMaskOptions,
  random: Random,
): [Mask, Mask] {
  checkExtents("disjoint", { batch, tokens });
  const masked = (r: number) => tokens - Math.trunc(tokens * (1 - r));
  checkRatio("disjoint", tokens, ratio, "tokens", masked, Math.floor(tokens / 2));
  return pair(batch, tokens, tokens - masked(ratio), tokens - masked(ratio), random);
}

/**
 * Two random masks that share all tokens out: each token is masked in one and visible in the other. `ratio` is that
 * of the first; the second masks what the first keeps.
 */
export function partitionMasks(
  { batch, tokens, ratio }: ComplementaryMaskOptions,
  random: Random,
): [Mask, Mask] {
  checkExtents("partition", { batch, tokens });
  const kept = visibleCount("partition", tokens, ratio);
  return pair(batch, tokens, kept, tokens - kept, random);
}

/** One random order per sample, read forwards by the first mask and backwards by the second. */
function pair(
  batch: number,
  tokens: number,
  keptFirst: number,
  keptSecond: number,
  random: Random,
): [Mask, Mask] {
  const forwards = new Int32Array(batch * tokens);
  const backwards = new Int32Array(batch * tokens);
  for (let b = 0; b < batch; b++) {
    const order = random.permutation(tokens);
    forwards.set(order, b * tokens);
    backwards.set(order.reverse(), b * tokens);
  }
  return [maskFromOrders(forwards, batch, keptFirst), maskFromOrders(backwards, batch, keptSecond)];
}
