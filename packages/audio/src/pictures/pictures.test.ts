import { createRandom } from "@unmask/core";
import { expect, it } from "vitest";
import { fbank } from "../features/fbank.js";
import { griffinLim } from "./griffin-lim.js";
import { frequencyTicks, spectrogramPicture, timeTicks } from "./spectrogram-picture.js";

const form = {
  ...{ inputSize: [20, 32] as const, channels: 1, sampleRate: 16000, frameLength: 25, frameShift: 10 },
  ...{ window: "hanning" as const, lowFrequency: 20, highFrequency: 0 },
};

it("puts a tick where the band of its frequency is", () => {
  const tone = Float32Array.from({ length: 1600 }, (_, i) => Math.sin((2 * Math.PI * 2000 * i) / 16000));
  const { values } = fbank(tone, { bands: 32, window: "hanning" });
  const row = values.subarray(0, 32);
  const tick = frequencyTicks(form).find(({ text }) => text === "2 kHz")!;
  const loudest = row.indexOf(Math.max(...row)) + 0.5; // the middle of its band
  expect(Math.abs(tick.band - loudest)).toBeLessThan(0.75);
});

it("labels round times, not too close", () => {
  expect(timeTicks(form, 100, 400).map(({ text }) => text)).toEqual([
    "0 s",
    "0.2 s",
    "0.4 s",
    "0.6 s",
    "0.8 s",
    "1 s",
  ]);
  expect(timeTicks(form, 1024, 512).map(({ frame }) => frame)).toEqual([0, 200, 400, 600, 800, 1000]);
});

it("draws loud bright, low frequencies at the bottom, hidden places gray", () => {
  const values = new Float32Array(20 * 32).fill(-10);
  for (let frame = 0; frame < 20; frame++) values[frame * 32 + 2] = 0; // a tone near the bottom
  const hidden = new Float32Array(values.length);
  hidden.fill(1, 10 * 32); // the second half
  const all = { original: values, reconstructed: values, combined: values, hidden };
  const { pixels, width } = spectrogramPicture({ shape: [1, 20, 32, 1], ...all, form, note: "note" });
  const colour = (panel: number, frame: number, band: number) => {
    const [top, left] = [12 + 22, 12 + 40 + panel * (40 + 200 + 12)];
    const at = ((top + (31 - band) * 4 + 2) * width + left + frame * 10 + 5) * 3;
    return [...pixels.subarray(at, at + 3)];
  };
  expect(colour(0, 4, 2)).toEqual([252, 253, 191]);
  expect(colour(0, 4, 20)).toEqual([0, 0, 4]);
  expect(colour(1, 4, 2)).toEqual([252, 253, 191]);
  expect(colour(1, 15, 2)).toEqual([190, 190, 190]);
  expect(colour(3, 15, 2)).toEqual([252, 253, 191]);
});

it("makes sound whose spectrogram is near the one it was made of", () => {
  const long = { ...form, inputSize: [60, 64] as const };
  const glide = Float32Array.from({ length: 10000 }, (_, i) => {
    const t = i / 16000;
    return 0.5 * Math.sin(2 * Math.PI * (400 + 1500 * t) * t) + 0.001 * Math.sin(i * i);
  });
  const spectrogram = fbank(glide, { bands: 64, window: "hanning" });
  const sound = griffinLim(spectrogram.values, long, createRandom(1));
  const again = fbank(sound, { bands: 64, window: "hanning" });
  const loudest = (values: Float32Array, frame: number) => {
    const row = values.subarray(frame * 64, (frame + 1) * 64);
    return row.indexOf(Math.max(...row));
  };
  for (let frame = 5; frame < 55; frame++)
    expect(Math.abs(loudest(again.values, frame) - loudest(spectrogram.values, frame))).toBeLessThanOrEqual(
      1,
    );
});
