import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents, visibleCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

export interface TimeFrequencyMaskOptions {
  readonly batch: number;
  /** [time, frequency]; tokens time-major. */
  readonly grid: readonly [number, number];
  /** Share of the time steps hidden over all frequencies; 0 for frequency stripes alone. */
  readonly timeRatio: number;
  /** Share of the frequencies hidden over all times; 0 for time stripes alone. */
  readonly frequencyRatio: number;
}

/**
 * Structured masking of AudioMAE: random time steps and random frequencies are hidden, and a token is visible when
 * neither its time nor its frequency is; trunc(T * (1 - timeRatio)) * trunc(F * (1 - frequencyRatio)) tokens are.
 * Visible tokens ascend.
 */
export function timeFrequencyMask(options: TimeFrequencyMaskOptions, random: Random): Mask {
  const { batch, grid, timeRatio, frequencyRatio } = options;
  checkExtents("time-frequency", { batch, grid });
  expect(
    timeRatio > 0 || frequencyRatio > 0,
    () =>
      `time-frequency mask: ratios ${timeRatio} and ${frequencyRatio} mask no token; use more than 0 for one of them`,
  );
  const [times, frequencies] = grid;
  const stripes = (extent: number, ratio: number, unit: string) =>
    ratio === 0 ? 0 : extent - visibleCount("time-frequency", extent, ratio, unit);
  const hiddenTimes = stripes(times, timeRatio, "time steps");
  const hiddenFrequencies = stripes(frequencies, frequencyRatio, "frequencies");
  return maskHiding(batch, times * frequencies, () => {
    const time = new Set(random.permutation(times).subarray(0, hiddenTimes));
    const frequency = new Set(random.permutation(frequencies).subarray(0, hiddenFrequencies));
    return Array.from({ length: times * frequencies }, (_, token) => token).filter(
      (token) => time.has(Math.floor(token / frequencies)) || frequency.has(token % frequencies),
    );
  });
}
