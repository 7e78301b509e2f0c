/**
 * Log-mel filterbank features as Kaldi computes them (Povey et al., ASRU 2011; torchaudio.compliance.kaldi.fbank): each
 * frame loses its mean, is pre-emphasised, windowed and transformed; powers are gathered in triangles on the mel scale.
 * Computed in double precision.
 */
import type { Random } from "@unmask/core";
import { expect } from "@unmask/core/errors";
import { createRealFft } from "./fft.js";
import { type MelBand, melBanks } from "./mel-banks.js";
import { type WindowKind, windowOf } from "./windows.js";

export interface FbankOptions {
  /** Hz. Default 16000. */
  readonly sampleRate?: number;
  /** Mel bands. Default 23, Kaldi's; AudioMAE takes 128. */
  readonly bands?: number;
  /** Milliseconds. Default 25. */
  readonly frameLength?: number;
  /** Milliseconds. Default 10. */
  readonly frameShift?: number;
  /** Default povey, Kaldi's; AudioMAE takes hanning. */
  readonly window?: WindowKind;
  /** Constant term of the Blackman window. Default 0.42. */
  readonly blackman?: number;
  /** Hz. Default 20. */
  readonly lowFrequency?: number;
  /** Hz; 0 or less counts from half the sampling rate. Default 0. */
  readonly highFrequency?: number;
  /** Default 0.97. */
  readonly preemphasis?: number;
  /** Takes the mean out of each frame. Default true. */
  readonly removeOffset?: boolean;
  /** Deviation of normal noise that is added to each frame, in units of the waveform; needs a generator. Default 0. */
  readonly dither?: number;
  /** Adds the log energy of a frame as a column of its own: in front, or with `htk` at the end. Default false. */
  readonly energy?: boolean;
  readonly htk?: boolean;
  /** Energy before pre-emphasis and window rather than after. Default true. */
  readonly rawEnergy?: boolean;
  /** Least energy. Default 1. */
  readonly energyFloor?: number;
  /** Logarithms rather than the energies themselves. Default true. */
  readonly log?: boolean;
  /** Powers rather than magnitudes. Default true. */
  readonly power?: boolean;
  /** Pads frames to the next power of two. Default true. */
  readonly roundToPowerOfTwo?: boolean;
  /** Only whole frames; else the waveform is mirrored at both ends. Default true. */
  readonly snipEdges?: boolean;
  /** Takes the mean over time out of each column. Default false. */
  readonly subtractMean?: boolean;
  /** Seconds; a shorter waveform has no frames. Default 0. */
  readonly minimumDuration?: number;
  /** Vocal tract length normalisation; 1 (the default) is none. */
  readonly vtlnWarp?: number;
  /** Hz. Default 100. */
  readonly vtlnLow?: number;
  /** Hz; less than 0 counts from half the sampling rate. Default -500. */
  readonly vtlnHigh?: number;
}

export interface Spectrogram {
  /** [frames, bands] */
  readonly values: Float32Array;
  readonly frames: number;
  readonly bands: number;
}

/** Where Kaldi puts the floor under a logarithm: the distance from 1 to the next float32. */
const EPSILON = 2 ** -23;

/**
 * Features of a whole waveform; one shorter than a frame has no frames.
 * @param random draws the dither
 */
export function fbank(waveform: Float32Array, options: FbankOptions = {}, random?: Random): Spectrogram {
  const frame = frameFeatures(options, random);
  const { snipEdges = true, subtractMean = false, minimumDuration = 0, sampleRate = 16000 } = options;
  const { size, shift, columns } = frame;
  const tooShort = waveform.length < minimumDuration * sampleRate;
  const source = snipEdges || tooShort ? waveform : mirrored(waveform, size, shift);
  const whole = waveform.length < size ? 0 : 1 + Math.floor((waveform.length - size) / shift);
  const frames = tooShort
    ? 0
    : snipEdges
      ? whole
      : Math.floor((waveform.length + Math.floor(shift / 2)) / shift);
  const values = new Float32Array(frames * columns);
  for (let i = 0; i < frames; i++) frame.compute(source, i * shift, values, i * columns);
  if (subtractMean) removeColumnMeans(values, columns);
  return { values, frames, bands: columns };
}

export interface FbankStream {
  /** Columns of a row. */
  readonly bands: number;
  /** Rows of the frames that these samples complete: [frames, bands] */
  push(samples: Float32Array): Spectrogram;
}

/** Features of a waveform that comes piece by piece; the rows are those of `fbank` over all of it. */
export function createFbank(options: FbankOptions = {}, random?: Random): FbankStream {
  const { snipEdges = true, subtractMean = false } = options;
  expect(
    snipEdges && !subtractMean,
    "createFbank: snipEdges: false and subtractMean: true need the whole waveform; use fbank",
  );
  const { size, shift, columns, compute } = frameFeatures(options, random);
  let rest = new Float32Array(0);
  let skip = 0; // samples to come before the next frame begins
  return {
    bands: columns,
    push(samples) {
      const waiting = new Float32Array(rest.length + samples.length);
      waiting.set(rest);
      waiting.set(samples, rest.length);
      const frames = Math.max(0, 1 + Math.floor((waiting.length - skip - size) / shift));
      const values = new Float32Array(frames * columns);
      for (let i = 0; i < frames; i++) compute(waiting, skip + i * shift, values, i * columns);
      const next = skip + frames * shift;
      rest = waiting.slice(Math.min(next, waiting.length));
      skip = Math.max(0, next - waiting.length);
      return { values, frames, bands: columns };
    },
  };
}

/** Samples of a frame and between frames. */
export function frameSizes({ sampleRate = 16000, frameLength = 25, frameShift = 10 }: FbankOptions): {
  size: number;
  shift: number;
} {
  const [size, shift] = [
    Math.trunc(sampleRate * frameLength * 0.001),
    Math.trunc(sampleRate * frameShift * 0.001),
  ];
  expect(
    size >= 2 && shift >= 1,
    `fbank: frames of ${frameLength} ms every ${frameShift} ms are ${size} and ${shift} samples at ${sampleRate} Hz; use longer ones`,
  );
  return { size, shift };
}

/** The size of the Fourier transform of a frame. */
export function paddedSize(size: number, roundToPowerOfTwo = true): number {
  const padded = roundToPowerOfTwo ? 2 ** Math.ceil(Math.log2(size)) : size;
  expect(
    padded % 2 === 0,
    `fbank: a frame of ${padded} samples is odd; use roundToPowerOfTwo or another frameLength`,
  );
  return padded;
}

/** Features of one frame at a time. */
function frameFeatures(options: FbankOptions, random: Random | undefined) {
  const { sampleRate = 16000, bands = 23, window = "povey", blackman, preemphasis = 0.97 } = options;
  const {
    lowFrequency = 20,
    highFrequency = 0,
    removeOffset = true,
    dither = 0,
    roundToPowerOfTwo,
  } = options;
  const {
    energy = false,
    htk = false,
    rawEnergy = true,
    energyFloor = 1,
    log = true,
    power = true,
  } = options;
  const { vtlnWarp, vtlnLow, vtlnHigh } = options;
  expect(preemphasis >= 0 && preemphasis <= 1, `fbank: preemphasis must be in 0-1, got ${preemphasis}`);
  expect(dither === 0 || random !== undefined, "fbank: dither is random; pass a generator");
  const { size, shift } = frameSizes(options);
  const padded = paddedSize(size, roundToPowerOfTwo);
  const fft = createRealFft(padded);
  const shape = windowOf(window, size, blackman);
  const mel = { bands, size: padded, sampleRate, lowFrequency, highFrequency, vtlnWarp, vtlnLow, vtlnHigh };
  const banks = melBanks(mel);
  const frame = new Float64Array(padded);
  const re = new Float64Array(padded / 2 + 1);
  const im = new Float64Array(padded / 2 + 1);
  const columns = bands + (energy ? 1 : 0);
  const energyAt = htk ? bands : 0;
  const bandsAt = energy && !htk ? 1 : 0;

  function logEnergy(): number {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += frame[i]! * frame[i]!;
    const value = Math.log(Math.max(sum, EPSILON));
    return energyFloor === 0 ? value : Math.max(value, Math.log(energyFloor));
  }

  /** Writes a row of `columns` values. */
  function compute(waveform: ArrayLike<number>, start: number, out: Float32Array, at: number): void {
    for (let i = 0; i < size; i++) frame[i] = waveform[start + i]!;
    if (dither !== 0) for (let i = 0; i < size; i++) frame[i]! += dither * random!.normal();
    if (removeOffset) {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += frame[i]!;
      const mean = sum / size;
      for (let i = 0; i < size; i++) frame[i]! -= mean;
    }
    if (energy && rawEnergy) out[at + energyAt] = logEnergy();
    for (let i = size - 1; i > 0; i--) frame[i] = (frame[i]! - preemphasis * frame[i - 1]!) * shape[i]!;
    frame[0] = frame[0]! * (1 - preemphasis) * shape[0]!; // the sample before the first is taken to be the first
    if (energy && !rawEnergy) out[at + energyAt] = logEnergy();
    fft.forward(frame, re, im);
    for (let k = 0; k < re.length; k++) re[k] = re[k]! * re[k]! + im[k]! * im[k]!;
    if (!power) for (let k = 0; k < re.length; k++) re[k] = Math.sqrt(re[k]!);
    for (let band = 0; band < bands; band++) {
      const sum = weighted(banks[band]!, re);
      out[at + bandsAt + band] = log ? Math.log(Math.max(sum, EPSILON)) : sum;
    }
  }
  return { size, shift, columns, compute };
}

function weighted({ first, weights }: MelBand, spectrum: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i]! * spectrum[first + i]!;
  return sum;
}

/** The waveform with its beginning and its end mirrored, so that frame i is centred at (i + 1/2) shift. */
function mirrored(waveform: Float32Array, size: number, shift: number): Float32Array {
  const pad = Math.floor(size / 2) - Math.floor(shift / 2);
  const backwards = waveform.slice().reverse();
  const front = pad > 0 ? backwards.subarray(Math.max(0, backwards.length - pad)) : new Float32Array(0);
  const body = pad > 0 ? waveform : waveform.subarray(-pad);
  const whole = new Float32Array(front.length + body.length + backwards.length);
  whole.set(front);
  whole.set(body, front.length);
  whole.set(backwards, front.length + body.length);
  return whole;
}

function removeColumnMeans(values: Float32Array, columns: number): void {
  const rows = values.length / columns;
  for (let column = 0; column < columns; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += values[row * columns + column]!;
    for (let row = 0; row < rows; row++) values[row * columns + column]! -= sum / rows;
  }
}
