import { createRandom } from "@unmask/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFbank, fbank } from "./fbank.js";
import { createRealFft } from "./fft.js";
import { melBanks } from "./mel-banks.js";

const sound = createRandom(1).normals(4000);

describe("createRealFft", () => {
  it.each([2, 6, 30, 64, 400])(
    "of size %i equals the sum it stands for, and is undone by its inverse",
    (size) => {
      const fft = createRealFft(size);
      const x = Float64Array.from(createRandom(2).normals(size));
      const [re, im] = [new Float64Array(size / 2 + 1), new Float64Array(size / 2 + 1)];
      fft.forward(x, re, im);
      for (let k = 0; k <= size / 2; k++) {
        const part = (f: (angle: number) => number) =>
          x.reduce((sum, value, i) => sum + value * f((2 * Math.PI * k * i) / size), 0);
        expect(re[k]).toBeCloseTo(part(Math.cos), 9);
        expect(im[k]).toBeCloseTo(-part(Math.sin), 9);
      }
      const back = new Float64Array(size);
      fft.inverse(re, im, back);
      back.forEach((value, i) => {
        expect(value).toBeCloseTo(x[i]!, 12);
      });
    },
  );
});

describe("fbank", () => {
  it("finds a tone in the band around its frequency", () => {
    const tone = Float32Array.from({ length: 1600 }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / 16000));
    const { values, frames, bands } = fbank(tone, { bands: 40 });
    const centres = melBanks({ bands: 40, size: 512, sampleRate: 16000, lowFrequency: 20, highFrequency: 0 });
    expect(frames).toBe(8);
    for (let frame = 0; frame < frames; frame++) {
      const row = values.subarray(frame * bands, (frame + 1) * bands);
      const { first, weights } = centres[row.indexOf(Math.max(...row))]!;
      expect(first * 31.25).toBeLessThanOrEqual(1000);
      expect((first + weights.length - 1) * 31.25).toBeGreaterThanOrEqual(1000);
    }
  });

  it("has no frames where the sound is shorter than one, mirrors it where edges count", () => {
    expect(fbank(sound.subarray(0, 399)).frames).toBe(0);
    expect(fbank(sound.subarray(0, 399), { snipEdges: false }).frames).toBe(2);
    expect(fbank(sound, { minimumDuration: 1 }).frames).toBe(0);
  });

  it("warps, dithers, and takes column means out when told to", () => {
    const plain = fbank(sound).values;
    expect(fbank(sound, { vtlnWarp: 1.1 }).values).not.toEqual(plain);
    expect(fbank(sound, { vtlnWarp: 1.0000001 }).values[100]).toBeCloseTo(plain[100]!, 3);
    expect(fbank(sound, { dither: 0.1 }, createRandom(1)).values).not.toEqual(plain);
    expect(() => fbank(sound, { dither: 0.1 })).toThrow("pass a generator");
    const { values, frames, bands } = fbank(sound, { subtractMean: true });
    let sum = 0;
    for (let frame = 0; frame < frames; frame++) sum += values[frame * bands + 5]!;
    expect(sum).toBeCloseTo(0, 3);
  });

  it("gives the same rows piece by piece, whatever the pieces", () => {
    const whole = fbank(sound, { frameShift: 30 }); // a shift longer than a frame skips samples
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 8 }), (cuts) => {
        const stream = createFbank({ frameShift: 30 });
        const places = [0, ...cuts.sort((a, b) => a - b), 4000];
        const rows = places
          .slice(1)
          .flatMap((end, i) => [...stream.push(sound.subarray(places[i], end)).values]);
        expect(rows).toEqual([...whole.values]);
      }),
      { numRuns: 40 },
    );
  });

  it("names frames that are too short and bands that do not fit", () => {
    expect(() => fbank(sound, { frameLength: 0.01 })).toThrow("use longer ones");
    expect(() => fbank(sound, { bands: 3 })).toThrow("bands must be an integer above 3");
    expect(() => fbank(sound, { highFrequency: 9000 })).toThrow("low < high <= 8000 Hz");
    expect(() => fbank(sound, { roundToPowerOfTwo: false, sampleRate: 16040 })).toThrow("is odd");
    expect(() => createFbank({ snipEdges: false })).toThrow("use fbank");
  });
});
