import { readFileSync } from "node:fs";
import { createRandom } from "@unmask/core";
import { describe, expect, it } from "vitest";
import { type Affine, affine, randomAffine } from "./affine.js";
import { compose, flipHorizontal, randomHorizontalFlip, randomResizedCrop } from "./augmentations.js";

const image = {
  pixels: Uint8Array.from({ length: 20 * 30 * 3 }, (_, i) => (i * 31) % 256),
  height: 20,
  width: 30,
  channels: 3,
  label: 4,
};

describe("augmentations", () => {
  it("depend on the generator alone, keep the label and leave the input as it is", () => {
    const before = image.pixels.slice();
    const augment = compose(
      randomResizedCrop(16),
      randomHorizontalFlip(),
      randomAffine({ degrees: 10, translate: 0.1, scale: [0.9, 1.1] }),
    );
    const [first, again, other] = [7, 7, 8].map((seed) => augment(image, createRandom(seed)));
    expect(first).toEqual(again);
    expect(first!.pixels).not.toEqual(other!.pixels);
    expect(first).toMatchObject({ height: 16, width: 16, channels: 3, label: 4 });
    expect(image.pixels).toEqual(before);
  });

  it("mirrors with the probability asked for", () => {
    const mirrored = flipHorizontal(image).pixels;
    const random = createRandom(3);
    const count = (p: number) => {
      const flip = randomHorizontalFlip(p);
      let flips = 0;
      for (let i = 0; i < 400; i++) if (flip(image, random).pixels[0] === mirrored[0]) flips++;
      return flips;
    };
    expect(mirrored[0]).not.toBe(image.pixels[0]);
    expect([count(0), count(1)]).toEqual([0, 400]);
    expect(Math.abs(count(0.25) - 100)).toBeLessThan(40);
  });
});

describe("affine", () => {
  const cases: (Affine & {
    height: number;
    width: number;
    channels: number;
    pixels: number[];
    expected: number[];
  })[] = JSON.parse(readFileSync(new URL("../../test/fixtures/affine.json", import.meta.url), "utf8"));

  it.each(cases)("angle $angle, scale $scale, shift $shift: as torch's grid_sample", (c) => {
    const out = affine({ ...c, pixels: Float32Array.from(c.pixels) }, c);
    expect(out.pixels.length).toBe(c.expected.length);
    c.expected.forEach((value, i) => {
      expect(Math.abs(out.pixels[i]! - value)).toBeLessThan(2e-6);
    });
  });

  it("changes nothing when nothing may change, and fills with the background", () => {
    expect(randomAffine()(image, createRandom(1)).pixels).toEqual(image.pixels);
    const away = affine(image, { angle: 0, scale: 1, shift: [100, 0] }, 1);
    expect(new Set(away.pixels)).toEqual(new Set([255]));
  });
});
