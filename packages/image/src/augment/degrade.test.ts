import { readFileSync } from "node:fs";
import { createRandom } from "@unmask/core";
import { describe, expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { gaussianNoise, jpegArtefacts, randomCrop, rotateQuarters } from "./degrade.js";

const { jpegs } = JSON.parse(
  readFileSync(new URL("../../test/fixtures/colour.json", import.meta.url), "utf8"),
);
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const photo: ImageSample = { pixels: bytesOf(jpegs.pixels), height: 21, width: 30, channels: 3 };
const numbered = (height: number, width: number): ImageSample => ({
  pixels: Float32Array.from({ length: height * width }, (_, i) => i),
  height,
  width,
  channels: 1,
});

describe("jpegArtefacts", () => {
  it.each(jpegs.made as { quality: number; bytes: string }[])("quality $quality: as libjpeg's", (c) => {
    const expected = bytesOf(c.bytes);
    const made = jpegArtefacts(photo, c.quality).pixels;
    const differences = expected.map((value, i) => Math.abs(value - made[i]!));
    const changed = expected.map((value, i) => Math.abs(value - photo.pixels[i]!));
    const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    // libjpeg computes in integers: a coefficient half way between two steps may go the other way.
    expect(Math.max(...differences)).toBeLessThanOrEqual(6);
    expect(mean(differences)).toBeLessThan(0.35);
    expect(mean(changed)).toBeGreaterThan(4);
  });

  it("leaves an even gray picture of floats as it is", () => {
    const even = { pixels: new Float32Array(70).fill(128 / 255), height: 7, width: 10, channels: 1 };
    for (const value of jpegArtefacts(even, 30).pixels) expect(value).toBeCloseTo(128 / 255, 5);
  });
});

describe("randomCrop", () => {
  it("cuts every place out alike, at full resolution", () => {
    const crop = randomCrop([2, 3]);
    const random = createRandom(1);
    const corners = new Set(Array.from({ length: 300 }, () => crop(numbered(4, 5), random).pixels[0]));
    expect([...corners].sort((a, b) => a! - b!)).toEqual([0, 1, 2, 5, 6, 7, 10, 11, 12]);
    const { pixels, height, width } = crop(numbered(4, 5), random);
    expect([height, width]).toEqual([2, 3]);
    expect([...pixels].map((value) => value - pixels[0]!)).toEqual([0, 1, 2, 5, 6, 7]);
  });

  it("mirrors a picture that is smaller", () => {
    expect([...randomCrop([1, 7])(numbered(1, 3), createRandom(1)).pixels]).toEqual([2, 1, 0, 1, 2, 1, 0]);
  });
});

describe("rotateQuarters", () => {
  it("turns counter-clockwise", () => {
    const turned = rotateQuarters(numbered(2, 3), 1);
    expect(turned).toMatchObject({ height: 3, width: 2 });
    expect([...turned.pixels]).toEqual([2, 5, 1, 4, 0, 3]);
    expect(rotateQuarters(numbered(2, 3), 4)).toEqual(numbered(2, 3));
  });
});

describe("gaussianNoise", () => {
  it("has the deviation asked for, and stays in the range of integers", () => {
    const gray = { pixels: new Uint8Array(4000).fill(128), height: 40, width: 100, channels: 1 };
    const noisy = [...gaussianNoise(gray, 10 / 255, createRandom(1)).pixels];
    expect(Math.abs(Math.sqrt(noisy.reduce((sum, v) => sum + (v - 128) ** 2, 0) / 4000) - 10)).toBeLessThan(
      0.5,
    );
    const white = { ...gray, pixels: new Uint8Array(4000).fill(255) };
    const clipped = gaussianNoise(white, 0.1, createRandom(1)).pixels;
    expect(clipped.filter((value) => value === 255).length).toBeGreaterThan(1500);
    expect(Math.min(...clipped)).toBeGreaterThan(100);
  });
});
