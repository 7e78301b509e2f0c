/** How many tokens a ratio leaves or hides, and what to say when that is none or all of them. */
import { expect } from "../errors.js";

/**
 * Visible tokens at a masking ratio: the float64 product tokens * (1 - ratio), truncated, as MAE counts them.
 * With 1024 tokens and ratio 0.7 it is 307; with 750 and 0.9 it is 74, since 1 - 0.9 is a little less than 0.1.
 */
export function visibleCount(name: string, tokens: number, ratio: number, unit = "tokens"): number {
  const count = (r: number) => Math.trunc(tokens * (1 - r));
  checkRatio(name, tokens, ratio, unit, (r) => tokens - count(r));
  return count(ratio);
}

/** Masked tokens at a masking ratio: the float64 product tokens * ratio, truncated, as VideoMAE counts them. */
export function hiddenCount(name: string, tokens: number, ratio: number, unit = "tokens"): number {
  const count = (r: number) => Math.trunc(tokens * r);
  checkRatio(name, tokens, ratio, unit, count);
  return count(ratio);
}

/** Throws unless a count that was given outright keeps one token and masks one. */
export function checkMasked(name: string, tokens: number, masked: number): void {
  expect(
    Number.isInteger(masked) && masked >= 1 && masked < tokens,
    () =>
      `${name} mask: masks ${masked} of ${tokens} tokens; mask at least 1 and at most ${tokens - 1}, a whole number`,
  );
}

/** Throws unless `batch` and every extent is a positive integer. */
export function checkExtents(
  name: string,
  extents: Readonly<Record<string, number | readonly number[]>>,
): void {
  for (const [key, value] of Object.entries(extents))
    for (const extent of typeof value === "number" ? [value] : value)
      expect(
        Number.isInteger(extent) && extent >= 1,
        () => `${name} mask: ${key} must hold positive integers, got ${JSON.stringify(value)}`,
      );
}

/** Throws unless `masked(ratio)` is in 1..tokens-1; `masked` must not fall when the ratio grows. */
export function checkRatio(
  name: string,
  tokens: number,
  ratio: number,
  unit: string,
  masked: (ratio: number) => number,
  most = tokens - 1,
): void {
  expect(
    ratio >= 0 && ratio <= 1,
    () =>
      `${name} mask: ratio ${ratio} is not between 0 and 1; give the share of ${unit} to mask, such as 0.75`,
  );
  expect(
    tokens >= 2,
    () => `${name} mask: ${tokens} ${unit} cannot be split in kept and masked; use smaller patches`,
  );
  const count = masked(ratio);
  expect(count >= 1, () => {
    const least = extremeRatio("least", (r) => masked(r) >= 1);
    return `${name} mask: ratio ${ratio} masks ${count} of ${tokens} ${unit}; use at least ${least}`;
  });
  expect(count <= most, () => {
    const bound = extremeRatio("most", (r) => masked(r) <= most);
    const fact = most === tokens - 1 ? `keeps ${tokens - count}` : `masks ${count}`;
    return `${name} mask: ratio ${ratio} ${fact} of ${tokens} ${unit}; use at most ${bound}`;
  });
}

/** The least or largest ratio with as few decimals (two or more) as it takes that satisfies `fits`. */
function extremeRatio(which: "least" | "most", fits: (ratio: number) => boolean): number {
  for (let steps = 100; steps <= 1e6; steps *= 10)
    for (let i = 0; i <= steps; i++) {
      const ratio = (which === "least" ? i : steps - i) / steps;
      if (!fits(ratio)) continue;
      if (ratio > 0 && ratio < 1) return ratio;
      break;
    }
  return which === "least" ? 1 : 0;
}
