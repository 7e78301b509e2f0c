import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents, visibleCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

export interface SpanMaskOptions {
  readonly batch: number;
  readonly tokens: number;
  /** Share of the tokens to mask, counted as by random masking. */
  readonly ratio: number;
  /** Length of every span, or lengths drawn geometrically with a mean and cut at a maximum (SpanBERT: 5 and 10). */
  readonly span: number | { readonly mean: number; readonly max: number };
}

/**
 * Spans of neighbouring tokens along a sequence (words, audio frames). Each starts at a random token that is still
 * visible; spans may touch or overlap, and the last is cut so that the count is exact. Visible tokens ascend.
 */
export function spanMask({ batch, tokens, ratio, span }: SpanMaskOptions, random: Random): Mask {
  checkExtents("span", { batch, tokens });
  const { mean, max } = typeof span === "number" ? { mean: span, max: span } : span;
  expect(
    mean >= 1 && max >= mean && Number.isInteger(max),
    () =>
      `span mask: span must be a positive integer or { mean, max } with 1 <= mean <= max, got ${JSON.stringify(span)}`,
  );
  const masked = tokens - visibleCount("span", tokens, ratio);
  const length = () => (typeof span === "number" ? span : geometric(mean, max, random));
  return maskHiding(batch, tokens, () => {
    const hidden = new Set<number>();
    for (const start of random.permutation(tokens)) {
      if (hidden.size === masked) break;
      if (hidden.has(start)) continue;
      const end = Math.min(start + length(), tokens);
      for (let token = start; token < end && hidden.size < masked; token++) hidden.add(token);
    }
    return hidden;
  });
}

/** 1, 2, ... with success probability 1 / mean, cut at `max`. */
function geometric(mean: number, max: number, random: Random): number {
  let length = 1;
  while (length < max && random.uniform() >= 1 / mean) length++;
  return length;
}
