import { createRandom } from "@unmask/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatenate, createResampler, resample } from "./resample.js";

const tone = (frequency: number, rate: number, length: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / rate));

/** Largest distance away from both ends, where the filter looks beyond the signal. */
function distance(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  for (let i = 100; i < Math.min(a.length, b.length) - 100; i++)
    largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

describe("resample", () => {
  it.each([
    [44100, 16000],
    [48000, 16000],
    [8000, 16000],
    [22050, 16000],
  ])("keeps a tone of 1 kHz in pitch, loudness and time from %i to %i Hz", (from, to) => {
    const changed = resample(tone(1000, from, from / 5), from, to);
    expect(changed).toHaveLength(Math.ceil(to / 5));
    expect(distance(changed, tone(1000, to, changed.length))).toBeLessThan(0.01);
  });

  it("lets nothing through that the lower rate cannot hold", () => {
    expect(distance(resample(tone(10000, 44100, 8820), 44100, 16000), new Float32Array(3200))).toBeLessThan(
      0.01,
    );
  });

  it("gives the same piece by piece, whatever the pieces", () => {
    const sound = createRandom(1).normals(700);
    fc.assert(
      fc.property(
        fc.constantFrom([441, 160], [2, 3], [3, 2], [1, 1], [160, 441]),
        fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 6 }),
        ([from, to], cuts) => {
          const resampler = createResampler(from!, to!);
          const places = [0, ...cuts.sort((a, b) => a - b), 700];
          const pieces = places.slice(1).map((end, i) => resampler.push(sound.subarray(places[i], end)));
          expect(concatenate([...pieces, resampler.end()])).toEqual(resample(sound, from!, to!));
        },
      ),
      { numRuns: 60 },
    );
  });
});
