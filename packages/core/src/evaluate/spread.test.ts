import { expect, it } from "vitest";
import { formatSpread, spread } from "./spread.js";

it("gives mean and sample deviation over seeds", () => {
  const s = spread([0.979, 0.978, 0.98]);
  expect(s.mean).toBeCloseTo(0.979, 12);
  expect(s.deviation).toBeCloseTo(0.001, 12);
  expect(formatSpread(s)).toBe("97.9 ± 0.1 (3 seeds)");
  expect(formatSpread(spread([1.5, 2.5]), { scale: 1, digits: 2 })).toBe("2.00 ± 0.71 (2 seeds)");
});

it("claims no spread for one seed and refuses failed runs", () => {
  expect(spread([0.5]).deviation).toBeUndefined();
  expect(formatSpread(spread([0.5]))).toBe("50.0 (1 seed)");
  expect(() => spread([0.5, Number.NaN])).toThrow("spread: expected one or more finite numbers");
  expect(() => spread([])).toThrow("spread");
});
