/**
 * Sound from log-mel energies: powers on the mel scale spread back over frequencies, and phases found by going to and fro
 * between sound and spectrum (Griffin and Lim, IEEE TASSP 1984). What comes out can be listened to; it is no recording.
 */
import type { Random } from "@unmask/core";
import { frameSizes, paddedSize } from "../features/fbank.js";
import { createRealFft } from "../features/fft.js";
import { melBanks } from "../features/mel-banks.js";
import type { AudioForm } from "../features/sample-features.js";
import { fbankOptions } from "../features/sample-features.js";
import { windowOf } from "../features/windows.js";

const PREEMPHASIS = 0.97;

/**
 * One channel of sound, its loudest moment at nine tenths of full scale.
 * @param energies [frames, bands], natural logarithms
 * @param random draws the first phases
 */
export function griffinLim(
  energies: Float32Array,
  form: AudioForm,
  random: Random,
  iterations = 32,
): Float32Array {
  const options = fbankOptions(form);
  const { size, shift } = frameSizes(options);
  const padded = paddedSize(size);
  const bands = form.inputSize[1];
  const frames = energies.length / bands;
  const bins = padded / 2 + 1;
  const window = windowOf(form.window, size);
  const magnitudes = magnitudesOf(energies, form, padded);
  const fft = createRealFft(padded);
  const [re, im] = [new Float64Array(bins), new Float64Array(bins)];
  const frame = new Float64Array(padded);
  const length = (frames - 1) * shift + size;
  const weight = new Float64Array(length); // overlapping squared windows
  for (let f = 0; f < frames; f++) for (let i = 0; i < size; i++) weight[f * shift + i]! += window[i]! ** 2;

  let sound = new Float64Array(length);
  for (let round = 0; round <= iterations; round++) {
    const next = new Float64Array(length);
    for (let f = 0; f < frames; f++) {
      frame.fill(0);
      for (let i = 0; i < size; i++) frame[i] = sound[f * shift + i]! * window[i]!;
      if (round > 0) fft.forward(frame, re, im);
      for (let k = 0; k < bins; k++) {
        const angle = round === 0 ? 2 * Math.PI * random.uniform() : Math.atan2(im[k]!, re[k]!);
        const magnitude = magnitudes[f * bins + k]!;
        re[k] = magnitude * Math.cos(angle);
        im[k] = magnitude * Math.sin(angle);
      }
      im[0] = 0;
      im[bins - 1] = 0;
      fft.inverse(re, im, frame);
      for (let i = 0; i < size; i++) next[f * shift + i]! += frame[i]! * window[i]!;
    }
    for (let i = 0; i < length; i++) next[i]! /= Math.max(weight[i]!, 1e-3);
    sound = next;
  }
  return finished(sound);
}

/** [frames, bins]: each bin has the mean power of the bands that it belongs to. */
function magnitudesOf(energies: Float32Array, form: AudioForm, padded: number): Float64Array {
  const [, bands] = form.inputSize;
  const { sampleRate, lowFrequency, highFrequency } = form;
  const banks = melBanks({ bands, size: padded, sampleRate, lowFrequency, highFrequency });
  const bins = padded / 2 + 1;
  const shares = new Float64Array(bins);
  const frames = energies.length / bands;
  const magnitudes = new Float64Array(frames * bins);
  banks.forEach(({ first, weights }) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (total === 0) return;
    weights.forEach((weight, i) => {
      shares[first + i]! += weight;
    });
  });
  banks.forEach(({ first, weights }, band) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let f = 0; f < frames; f++) {
      const power = Math.exp(Math.min(energies[f * bands + band]!, 30)) / total; // of one bin
      for (let i = 0; i < weights.length; i++)
        magnitudes[f * bins + first + i]! += (power * weights[i]!) / shares[first + i]!;
    }
  });
  return magnitudes.map(Math.sqrt);
}

/** Undoes the pre-emphasis and brings the sound to nine tenths of full scale. */
function finished(sound: Float64Array): Float32Array {
  const out = new Float32Array(sound.length);
  let [last, loudest] = [0, 1e-9];
  for (let i = 0; i < sound.length; i++) {
    last = sound[i]! + PREEMPHASIS * last;
    out[i] = last;
    loudest = Math.max(loudest, Math.abs(last));
  }
  return out.map((value) => (0.9 * value) / loudest);
}
