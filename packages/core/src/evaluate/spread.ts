/** A number measured several times: its mean, its spread, and how often it was measured. */
import { expect } from "../errors.js";

export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n - 1 in the denominator); absent for a single value. */
  readonly deviation?: number;
  readonly n: number;
  readonly values: readonly number[];
}

/** Mean and sample standard deviation of the values of several seeds. */
export function spread(values: readonly number[]): Spread {
  const n = values.length;
  expect(
    n > 0 && values.every(Number.isFinite),
    () => `spread: expected one or more finite numbers, got [${values}]; leave failed runs out by name`,
  );
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, n, values };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (n - 1)), n, values };
}

/** `97.9 ± 0.1 (3 seeds)`: fractions as percentages, or as they are with `scale: 1`. */
export function formatSpread(
  { mean, deviation, n }: Spread,
  { scale = 100, digits = 1 }: { scale?: number; digits?: number } = {},
): string {
  const shown = (value: number) => (scale * value).toFixed(digits);
  return deviation === undefined
    ? `${shown(mean)} (1 seed)`
    : `${shown(mean)} ± ${shown(deviation)} (${n} seeds)`;
}
