import { readFileSync } from "node:fs";
import { createRandom } from "@unmask/core";
import { describe, expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { randomly } from "./augmentations.js";
import { gaussianBlur, randomGaussianBlur } from "./blur.js";
import {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  colourJitter,
  grayscale,
  solarise,
} from "./colour.js";

interface Case {
  readonly name: keyof typeof changes;
  readonly factor: number;
  readonly pixels: string;
  readonly bytes: string;
  readonly floats: string;
}

interface Blur extends Omit<Case, "name" | "factor"> {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly sigma: number;
  readonly kernelSize: number;
}

const changes = { adjustBrightness, adjustContrast, adjustSaturation, adjustHue, solarise, grayscale };
const fixture = JSON.parse(readFileSync(new URL("../../test/fixtures/colour.json", import.meta.url), "utf8"));
const { height, width } = fixture;
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const floatsOf = (text: string) => new Float32Array(bytesOf(text).buffer);
const colour = (pixels: Uint8Array | Uint16Array | Float32Array) => ({ pixels, height, width, channels: 3 });
const difference = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return Array.from(a, (value, i) => Math.abs(value - b[i]!)).reduce((x, y) => Math.max(x, y), 0);
};

describe("changes of colour", () => {
  const cases: [string, Case][] = fixture.colours.map((c: Case) => [`${c.name} ${c.factor}`, c]);

  it.each(cases)("%s: bytes equal Pillow's, floats torchvision's, 16 bits both", (_, c) => {
    const bytes = bytesOf(c.pixels);
    const change = (pixels: Uint8Array | Uint16Array | Float32Array) =>
      changes[c.name](colour(pixels), c.factor).pixels;
    expect(change(bytes)).toEqual(bytesOf(c.bytes));
    const floats = floatsOf(c.floats);
    expect(difference(change(Float32Array.from(bytes, (value) => value / 255)), floats)).toBeLessThan(1e-6);
    const words = change(Uint16Array.from(bytes, (value) => value * 257));
    const clipped = floats.map((value) => 65535 * Math.min(1, Math.max(0, value)));
    expect(words).toBeInstanceOf(Uint16Array);
    expect(difference(words, clipped)).toBeLessThan(1);
  });

  it("of gray pictures are changes of brightness and contrast alone", () => {
    const { pixels, factor, bytes } = fixture.grayContrast;
    const gray = { pixels: bytesOf(pixels), height, width, channels: 1 };
    expect(adjustContrast(gray, factor).pixels).toEqual(bytesOf(bytes));
    expect(adjustHue(adjustSaturation(grayscale(gray), 0.3), 0.4).pixels).toEqual(gray.pixels);
  });

  it("of bands are about each band's own mean, and of values of any range are not clipped", () => {
    const bands = { pixels: Float32Array.of(1, -900, 3, -700), height: 1, width: 2, channels: 2 };
    expect([...adjustContrast(bands, 2).pixels]).toEqual([0, -1000, 4, -600]);
  });
});

describe("colourJitter", () => {
  const sample = { ...colour(bytesOf(fixture.colours[0].pixels)), label: 2 };

  it("depends on the generator alone and leaves its input as it is", () => {
    const before = sample.pixels.slice();
    const jitter = colourJitter({ brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2 });
    const [first, again, other] = [1, 1, 2].map((seed) => jitter(sample, createRandom(seed)));
    expect(first).toEqual(again);
    expect(first!.pixels).not.toEqual(other!.pixels);
    expect(first!.label).toBe(2);
    expect(sample.pixels).toEqual(before);
  });

  it("draws factors evenly from 1 - strength, at least 0, to 1 + strength", () => {
    const white = { pixels: Float32Array.of(1, 1, 1), height: 1, width: 1, channels: 3 };
    const factors = (brightness: number) => {
      const random = createRandom(4);
      const jitter = colourJitter({ brightness });
      return Array.from({ length: 2000 }, () => jitter(white, random).pixels[0]!).sort((a, b) => a - b);
    };
    for (const [strength, least, greatest] of [
      [0.4, 0.6, 1.4],
      [1.5, 0, 2.5],
    ] as const) {
      const drawn = factors(strength);
      expect(drawn[0]).toBeGreaterThanOrEqual(least);
      expect(drawn.at(-1)).toBeLessThanOrEqual(greatest);
      for (const quantile of [0.02, 0.25, 0.5, 0.75, 0.98])
        expect(Math.abs(drawn[2000 * quantile]! - (least + quantile * (greatest - least)))).toBeLessThan(0.1);
    }
  });

  it("makes its four changes one after the other, in the order drawn", () => {
    const jitter = colourJitter({ brightness: 0.5, contrast: 0.5, saturation: 0.5, hue: 0.2 });
    const steps = [
      (image: ImageSample) => adjustBrightness(image, 1.25),
      (image: ImageSample) => adjustContrast(image, 1.25),
      (image: ImageSample) => adjustSaturation(image, 1.25),
      (image: ImageSample) => adjustHue(image, 0.1),
    ];
    const made = [
      [0, 1, 2, 3],
      [2, 3, 1, 0],
    ].map((order) => {
      const drawn = { ...createRandom(1), permutation: () => Int32Array.from(order), uniform: () => 0.75 };
      const expected = order.reduce((image, step) => steps[step]!(image), sample as ImageSample);
      const { pixels } = jitter(sample, drawn);
      expect(pixels).toEqual(expected.pixels);
      return pixels;
    });
    expect(made[0]).not.toEqual(made[1]);
  });

  it("refuses strengths that mean nothing", () => {
    expect(() => colourJitter({ hue: 0.6 })).toThrow("hue at most 0.5");
  });
});

describe("gaussianBlur", () => {
  const cases: [string, Blur][] = fixture.blurs.map((c: Blur) => [`${c.sigma} of ${c.kernelSize}`, c]);

  it.each(cases)("deviation %s: as torchvision's", (_, c) => {
    const bytes = bytesOf(c.pixels);
    const blurred = gaussianBlur({ ...c, pixels: bytes }, c.sigma, c.kernelSize).pixels;
    expect(blurred).toEqual(bytesOf(c.bytes));
    const floats = Float32Array.from(bytes, (value) => value / 255);
    const out = gaussianBlur({ ...c, pixels: floats }, c.sigma, c.kernelSize).pixels;
    expect(difference(out, floatsOf(c.floats))).toBeLessThan(1e-6);
  });

  it("keeps an even picture even where the kernel is longer than the picture", () => {
    const even = { pixels: new Uint16Array(4).fill(777), height: 1, width: 4, channels: 1 };
    expect(gaussianBlur(even, 2, 23).pixels).toEqual(even.pixels);
  });

  it("is drawn within its deviations and made with its probability", () => {
    const spot = { pixels: new Float32Array(81), height: 9, width: 9, channels: 1 };
    spot.pixels[40] = 1;
    const random = createRandom(2);
    const blur = randomly(0.5, randomGaussianBlur({ sigma: [0.5, 1], kernelSize: 9 }));
    const peaks = Array.from({ length: 200 }, () => blur(spot, random).pixels[40]!);
    const made = peaks.filter((peak) => peak < 1);
    expect(Math.abs(made.length - 100)).toBeLessThan(30);
    const [sharp, soft] = [0.5, 1].map((sigma) => gaussianBlur(spot, sigma, 9).pixels[40]!) as [
      number,
      number,
    ];
    for (const peak of made) expect(peak >= soft && peak <= sharp).toBe(true);
  });
});
