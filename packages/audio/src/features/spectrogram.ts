/** Spectrograms cut to a length and brought to the scale that models take. */
import type { Spectrogram } from "./fbank.js";

/** As many frames as asked for: the first ones, or rows of zeros behind. */
export function fitFrames({ values, frames, bands }: Spectrogram, wanted: number, start = 0): Spectrogram {
  const fitted = new Float32Array(wanted * bands);
  fitted.set(values.subarray(start * bands, Math.min(frames, start + wanted) * bands));
  return { values: fitted, frames: wanted, bands };
}

export interface SpectrogramStatistics {
  readonly mean: number;
  readonly std: number;
}

/** AudioMAE's scale: (x - mean) / (2 std), padding included. */
export function normaliseSpectrogram(
  { values, frames, bands }: Spectrogram,
  { mean, std }: SpectrogramStatistics,
): Spectrogram {
  return { values: values.map((value) => (value - mean) / (2 * std)), frames, bands };
}
