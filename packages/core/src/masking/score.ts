import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents, hiddenCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";
import { argsortRows } from "./random.js";

export interface ScoreMaskOptions {
  readonly batch: number;
  /** [B, N]: attention, saliency, similarity to a text, ...: one finite number a token. */
  readonly scores: ArrayLike<number>;
  /** Share of the tokens to mask; trunc(ratio * N) of them are. */
  readonly ratio: number;
  /** Which tokens to mask. */
  readonly hide: "highest" | "lowest";
  /** Share of the masked tokens drawn at random instead, from those that the scores leave; default 0. */
  readonly randomShare?: number;
}

/**
 * Masks the tokens of highest (or lowest) score; of equal scores the lower index goes first. Visible tokens ascend.
 * For as many in every frame of a video, mask [B * T, cells] and join the flags with `maskFromFlags`.
 */
export function scoreMask(options: ScoreMaskOptions, random: Random): Mask {
  const { batch, scores, ratio, hide, randomShare = 0 } = options;
  const tokens = scores.length / batch;
  checkExtents("score", { batch, "scores per sample": tokens });
  const hidden = hiddenCount("score", tokens, ratio);
  expect(
    randomShare >= 0 && randomShare <= 1,
    () => `score mask: randomShare ${randomShare} is not between 0 and 1; 0 lets the scores decide alone`,
  );
  const keys = Float64Array.from(scores, (score) => (hide === "highest" ? -score : score));
  const bad = keys.findIndex((key) => !Number.isFinite(key));
  expect(bad < 0, () => `score mask: score ${bad} is ${scores[bad]}; scores must be finite`);
  const orders = argsortRows(keys, batch);
  const byScore = hidden - Math.trunc(hidden * randomShare);
  return maskHiding(batch, tokens, (b) => {
    const order = orders.subarray(b * tokens, (b + 1) * tokens);
    const rest = order.subarray(byScore);
    const drawn = random.permutation(rest.length).subarray(0, hidden - byScore);
    return [...order.subarray(0, byScore), ...Array.from(drawn, (i) => rest[i]!)];
  });
}
