/** Augmentations of AudioMAE: of waveforms before, of spectrograms (SpecAugment) after the filterbank. */
import type { Random } from "@unmask/core";
import type { AudioSample } from "../sample.js";

/** The recording turned round in time by a random share of it, and made louder or softer by 0.5-1.5 (mostly near 1). */
export function rollAndScale(channels: readonly Float32Array[], random: Random): Float32Array[] {
  const length = channels[0]!.length;
  const by = length === 0 ? 0 : random.int(length);
  const gain = betaTen(random) + 0.5;
  return channels.map((values) => {
    const rolled = new Float32Array(length);
    rolled.set(values.subarray(length - by));
    rolled.set(values.subarray(0, length - by), by);
    for (let i = 0; i < length; i++) rolled[i]! *= gain;
    return rolled;
  });
}

/** share * a + (1 - share) * b; the shorter one is followed by silence, or cut where it is `b`, as AudioMAE does. */
export function mixWaveforms(
  a: readonly Float32Array[],
  b: readonly Float32Array[],
  share: number,
): Float32Array[] {
  return a.map((values, channel) => {
    const other = b[channel]!;
    return values.map((value, i) => share * value + (1 - share) * (other[i] ?? 0));
  });
}

/** A draw from Beta(10, 10): the middle one of 19 uniform draws. */
export function betaTen(random: Random): number {
  return random.uniforms(19).sort()[9]!;
}

/**
 * SpecAugment (Park et al., Interspeech 2019) without warping: one stripe of up to `timeMask` frames and one of up to
 * `frequencyMask` bands are set to 0, which is what padding is.
 */
export function specAugment(
  sample: AudioSample,
  { timeMask, frequencyMask }: { readonly timeMask: number; readonly frequencyMask: number },
  random: Random,
): AudioSample {
  const { frames, bands, channels } = sample;
  const values = sample.values.slice();
  const stripe = (widest: number, extent: number): [number, number] => {
    const width = Math.floor(random.uniform() * Math.min(widest, extent));
    const first = Math.floor(random.uniform() * (extent - width));
    return [first, first + width];
  };
  const [firstBand, endBand] = stripe(frequencyMask, bands);
  const [firstFrame, endFrame] = stripe(timeMask, frames);
  values.fill(0, firstFrame * bands * channels, endFrame * bands * channels);
  for (let frame = 0; frame < frames; frame++)
    values.fill(0, (frame * bands + firstBand) * channels, (frame * bands + endBand) * channels);
  return { ...sample, values };
}
