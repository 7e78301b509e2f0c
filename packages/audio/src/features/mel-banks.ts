/** Triangular filters on the mel scale, as Kaldi has them. */
import { expect } from "@unmask/core/errors";

export interface MelOptions {
  /** Filters. */
  readonly bands: number;
  /** Size of the Fourier transform. */
  readonly size: number;
  readonly sampleRate: number;
  readonly lowFrequency: number;
  /** In Hz; 0 or less counts from half the sampling rate. */
  readonly highFrequency: number;
  /** Vocal tract length normalisation: factor and the frequencies that it bends between; 1 is none. */
  readonly vtlnWarp?: number;
  readonly vtlnLow?: number;
  /** Less than 0 counts from half the sampling rate. */
  readonly vtlnHigh?: number;
}

/** One filter: weights from bin `first` on. */
export interface MelBand {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Hz to mel: 1127 ln(1 + f / 700). */
const toMel = (frequency: number): number => 1127 * Math.log1p(frequency / 700);

const fromMel = (mel: number): number => 700 * Math.expm1(mel / 1127);

/** Centres of the filters in Hz. */
export function bandCentres(options: Omit<MelOptions, "size">): Float64Array {
  const { low, delta, warp } = melScale(options);
  return Float64Array.from({ length: options.bands }, (_, band) => fromMel(warp(low + (band + 1) * delta)));
}

/** Filters over the bins 0..size/2-1 of a spectrum; the bin at half the sampling rate belongs to none. */
export function melBanks(options: MelOptions): MelBand[] {
  const { bands, size, sampleRate, vtlnWarp = 1 } = options;
  const { low, delta, warp } = melScale(options);
  const mels = Float64Array.from({ length: size / 2 }, (_, bin) => toMel((sampleRate / size) * bin));
  return Array.from({ length: bands }, (_, band) => {
    const [left, centre, right] = [0, 1, 2].map((edge) => warp(low + (band + edge) * delta)) as [
      number,
      number,
      number,
    ];
    const weights = mels.map((mel) => {
      const rising = (mel - left) / (centre - left);
      const falling = (right - mel) / (right - centre);
      if (vtlnWarp === 1) return Math.max(0, Math.min(rising, falling));
      return mel > left && mel <= centre ? rising : mel > centre && mel < right ? falling : 0;
    });
    const first = weights.findIndex((weight) => weight !== 0);
    if (first === -1) return { first: 0, weights: new Float64Array(0) };
    return { first, weights: weights.slice(first, weights.findLastIndex((weight) => weight !== 0) + 1) };
  });
}

function melScale(options: Omit<MelOptions, "size">) {
  const { bands, sampleRate, lowFrequency, vtlnWarp = 1, vtlnLow = 100, vtlnHigh = -500 } = options;
  const nyquist = sampleRate / 2;
  const highFrequency = options.highFrequency <= 0 ? nyquist + options.highFrequency : options.highFrequency;
  expect(Number.isInteger(bands) && bands > 3, `melBanks: bands must be an integer above 3, got ${bands}`);
  expect(
    lowFrequency >= 0 && highFrequency <= nyquist && lowFrequency < highFrequency,
    `melBanks: frequencies must satisfy 0 <= low < high <= ${nyquist} Hz, got ${lowFrequency} and ${highFrequency}`,
  );
  const low = toMel(lowFrequency);
  const delta = (toMel(highFrequency) - low) / (bands + 1);
  if (vtlnWarp === 1) return { low, delta, warp: (mel: number) => mel };

  const high = vtlnHigh < 0 ? vtlnHigh + nyquist : vtlnHigh;
  const [below, above] = [vtlnLow * Math.max(1, vtlnWarp), high * Math.min(1, vtlnWarp)];
  expect(
    vtlnLow > lowFrequency && high < highFrequency && vtlnLow < high,
    `melBanks: VTLN needs low ${lowFrequency} < ${vtlnLow} < ${high} < high ${highFrequency} Hz`,
  );
  expect(
    below > lowFrequency && above < highFrequency,
    `melBanks: VTLN by ${vtlnWarp} bends between ${below} and ${above} Hz, outside ${lowFrequency}-${highFrequency}`,
  );
  const scaleBelow = (below / vtlnWarp - lowFrequency) / (below - lowFrequency);
  const scaleAbove = (highFrequency - above / vtlnWarp) / (highFrequency - above);
  const warpFrequency = (frequency: number): number => {
    if (frequency < lowFrequency || frequency > highFrequency) return frequency;
    if (frequency < below) return lowFrequency + scaleBelow * (frequency - lowFrequency);
    if (frequency < above) return frequency / vtlnWarp;
    return highFrequency + scaleAbove * (frequency - highFrequency);
  };
  return { low, delta, warp: (mel: number) => toMel(warpFrequency(fromMel(mel))) };
}
