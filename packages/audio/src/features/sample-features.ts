/** From sound to what models take: one log-mel spectrogram of a fixed size. */
import type { AudioInput } from "../batch.js";
import type { AudioSample } from "../sample.js";
import { createFbank, type FbankOptions, fbank, frameSizes } from "./fbank.js";

/** How sound becomes a spectrogram: the part of a model's config that readers need. */
export type AudioForm = Omit<AudioInput, "mean" | "std">;

export const fbankOptions = (form: AudioForm): FbankOptions => ({
  sampleRate: form.sampleRate,
  bands: form.inputSize[1],
  frameLength: form.frameLength,
  frameShift: form.frameShift,
  window: form.window,
  lowFrequency: form.lowFrequency,
  highFrequency: form.highFrequency,
});

/** Samples of sound that the frames of an input cover. */
export function clipLength(form: AudioForm): number {
  const { size, shift } = frameSizes(fbankOptions(form));
  return (form.inputSize[0] - 1) * shift + size;
}

/**
 * The spectrogram of a recording at the form's rate: its mean taken out, its first frames, or rows of zeros behind the
 * last, as AudioMAE does. Sound shorter than one frame counts as one frame, with silence behind it.
 * @param channels one array for each of the form's channels
 */
export function spectrogramSample(channels: readonly Float32Array[], form: AudioForm): AudioSample {
  const [frames, bands] = form.inputSize;
  const options = fbankOptions(form);
  const { size } = frameSizes(options);
  const values = new Float32Array(frames * bands * channels.length);
  let recorded = 0;
  channels.forEach((sound, channel) => {
    const own = fbank(centred(sound, size), options);
    recorded = Math.min(own.frames, frames);
    for (let i = 0; i < recorded * bands; i++) values[i * channels.length + channel] = own.values[i]!;
  });
  return { values, frames, bands, channels: channels.length, recorded };
}

/** A copy without its mean, and at least `least` long. */
function centred(sound: Float32Array, least: number): Float32Array {
  const copy = new Float32Array(Math.max(sound.length, least));
  let sum = 0;
  for (let i = 0; i < sound.length; i++) sum += sound[i]!;
  const mean = sound.length === 0 ? 0 : sum / sound.length;
  for (let i = 0; i < sound.length; i++) copy[i] = sound[i]! - mean;
  return copy;
}

/**
 * Recordings of any length as spectrograms of a model's size, one after the other, the last padded; memory does not grow
 * with the recording.
 * @param sound pieces at the form's rate and number of channels
 */
export async function* spectrogramClips(
  sound: AsyncIterable<{ readonly channels: readonly Float32Array[] }>,
  form: AudioForm,
): AsyncGenerator<AudioSample> {
  const [frames, bands] = form.inputSize;
  const streams = Array.from({ length: form.channels }, () => createFbank(fbankOptions(form)));
  const blank = () => new Float32Array(frames * bands * form.channels);
  let values = blank();
  let recorded = 0;
  const sample = (): AudioSample => ({ values, frames, bands, channels: form.channels, recorded });
  for await (const piece of sound) {
    const rows = streams.map((stream, channel) => stream.push(piece.channels[channel]!));
    for (let row = 0; row < rows[0]!.frames; row++) {
      rows.forEach((own, channel) => {
        for (let band = 0; band < bands; band++)
          values[(recorded * bands + band) * form.channels + channel] = own.values[row * bands + band]!;
      });
      recorded++;
      if (recorded < frames) continue;
      yield sample();
      [values, recorded] = [blank(), 0];
    }
  }
  if (recorded > 0) yield sample();
}
