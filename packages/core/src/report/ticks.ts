/** Round numbers along an axis, and their text. */

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  /** Place of a value between 0 at `low` and 1 at `high`. */
  place(value: number): number;
  format(value: number): string;
}

/** Covers `min` to `max` with about `count` ticks at multiples of 1, 2 or 5 times a power of ten. */
export function linearScale(min: number, max: number, count: number, { tight = false } = {}): Scale {
  const [from, to] = widened(min, max);
  const step = roundUp((to - from) / count);
  const first = tight ? Math.ceil(from / step - 1e-9) : Math.floor(from / step + 1e-9);
  const last = tight ? Math.floor(to / step + 1e-9) : Math.ceil(to / step - 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  const [low, high] = tight ? [from, to] : [first * step, last * step];
  return { low, high, ticks, place: (value) => (value - low) / (high - low), format: formatOf(ticks, step) };
}

/** The same by decades; where there is less than one, ticks are those of a linear scale at their logarithmic place. */
export function logScale(min: number, max: number, count: number): Scale {
  if (max / min < 10) {
    const { low, high, ticks, format } = linearScale(min, max, count);
    const from = low > 0 ? low : min;
    return {
      low: from,
      high,
      ticks: ticks.filter((tick) => tick >= from),
      place: logPlace(from, high),
      format,
    };
  }
  const [low, high] = [roundDown(min), roundUp(max)];
  const [first, last] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  const every = Math.ceil((last - first) / count);
  const factors = high / low <= 101 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = first; power <= last; power += every)
    for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
  const within = ticks.filter((tick) => tick >= low && tick <= high);
  return { low, high, ticks: within, place: logPlace(low, high), format: formatNumber };
}

/** A number as a person reads it: about four digits, powers of ten where it is very large or small. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return shortExponent(value.toExponential(3));
  return String(Number(value.toPrecision(Math.max(4, Math.ceil(Math.log10(size))))));
}

const logPlace = (low: number, high: number) => (value: number) =>
  Math.log(value / low) / Math.log(high / low);

/** A range that is not empty. */
function widened(min: number, max: number): [number, number] {
  const size = Math.max(Math.abs(min), Math.abs(max));
  if (max - min > size * 1e-9) return [min, max];
  return size === 0 ? [-1, 1] : [min - size * 0.1, max + size * 0.1];
}

/** The next of 1, 2 and 5 times a power of ten. */
function roundUp(value: number): number {
  const power = Math.floor(Math.log10(value));
  const factor = [1, 2, 5].find((factor) => factor >= (value / 10 ** power) * (1 - 1e-9)) ?? 10;
  return Number(`${factor}e${power}`);
}

function roundDown(value: number): number {
  const power = Math.floor(Math.log10(value));
  const factor = [5, 2, 1].find((factor) => factor <= (value / 10 ** power) * (1 + 1e-9)) ?? 0.5;
  return Number(`${factor}e${power}`);
}

/** One form for all ticks of an axis: as many digits as tell neighbours apart. */
function formatOf(ticks: readonly number[], step: number): (value: number) => string {
  const largest = Math.max(...ticks.map(Math.abs));
  const power = Math.floor(Math.log10(step) + 1e-9);
  if (largest < 1e6 && power >= -4)
    return (value) => (value === 0 ? "0" : value.toFixed(Math.max(0, -power)));
  return (value) => {
    if (Math.abs(value) < step / 2) return "0";
    const digits = Math.floor(Math.log10(Math.abs(value)) + 1e-9) - power;
    return shortExponent(value.toExponential(Math.min(Math.max(0, digits), 12)));
  };
}

/** 2.500e-4 -> 2.5e-4, 1e+6 -> 1e6 */
const shortExponent = (text: string) => text.replace(/(?:\.0+|(\.\d*?)0+)?e\+?/, "$1e");
