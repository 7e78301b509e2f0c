import { readFileSync } from "node:fs";
import { createRandom, type Random } from "@unmask/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitImage } from "./augmentations.js";
import { type Box, fitView, randomCropView, type Size } from "./view.js";

const fixture = JSON.parse(readFileSync(new URL("../../test/fixtures/views.json", import.meta.url), "utf8"));
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));

/** Draws recorded from torchvision, in its order. */
function replay(uniforms: number[], ints: number[]): Random {
  return { ...createRandom(1), uniform: () => uniforms.shift()!, int: () => ints.shift()! };
}

interface Crop {
  readonly height: number;
  readonly width: number;
  readonly uniforms: number[];
  readonly ints: number[];
  readonly box: Box;
}

describe("randomCropView", () => {
  it.each(fixture.crops as Crop[])(
    "$height x $width: cuts as torchvision does from the same draws",
    (crop) => {
      const { uniforms, ints } = crop;
      const view = randomCropView(crop.height, crop.width, [8, 8], replay(uniforms, ints));
      expect(view.box).toEqual(crop.box);
      expect(view.window).toEqual(crop.box);
      expect([uniforms.length, ints.length]).toEqual([0, 0]);
    },
  );

  it("stays inside any image, at least one pixel large", () => {
    const side = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 30000 }));
    fc.assert(
      fc.property(side, side, fc.integer(), (height, width, seed) => {
        const { box } = randomCropView(height, width, [8, 8], createRandom(seed));
        expect(box.height).toBeGreaterThanOrEqual(1);
        expect(box.width).toBeGreaterThanOrEqual(1);
        expect(box.top).toBeGreaterThanOrEqual(0);
        expect(box.left).toBeGreaterThanOrEqual(0);
        expect(box.top + box.height).toBeLessThanOrEqual(height);
        expect(box.left + box.width).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe("fitView", () => {
  const centred = fixture.centred as {
    height: number;
    width: number;
    pixels: string;
    size: number;
    bytes: string;
  }[];

  // torchvision resizes the whole image and rounds it before it crops; here only the crop is made.
  it.each(centred)("$height x $width to $size: the centre crop equals MAE's evaluation transform", (c) => {
    const out = fitImage({ ...c, pixels: bytesOf(c.pixels), channels: 3 }, c.size);
    expect(out.pixels).toEqual(bytesOf(c.bytes));
  });

  it("keeps an image of the wanted size and cuts no margin from a smaller one", () => {
    const pixels = new Uint8Array(6 * 6).fill(7);
    const image = { pixels, height: 6, width: 6, channels: 1 };
    expect(fitImage(image, 6)).toBe(image);
    expect(fitView(6, 6, [12, 12], "centre-crop").box).toEqual({ top: 0, left: 0, height: 6, width: 6 });
  });

  it("crops the centre without resampling", () => {
    const pixels = Uint8Array.from({ length: 5 * 4 }, (_, i) => i);
    const image = { pixels, height: 5, width: 4, channels: 1 };
    expect([...fitImage(image, [3, 2], "crop").pixels]).toEqual([5, 6, 9, 10, 13, 14]);
    expect([...fitImage(image, [1, 6], "crop", 1).pixels]).toEqual([255, 8, 9, 10, 11, 255]);
  });

  it("pads without changing the aspect", () => {
    const pixels = new Uint8Array(4 * 8).fill(50);
    const out = fitImage({ pixels, height: 4, width: 8, channels: 1 }, 8, "pad", 1);
    const rows = Array.from({ length: 8 }, (_, y) => [...new Set(out.pixels.subarray(y * 8, y * 8 + 8))]);
    expect(rows).toEqual([[255], [255], [50], [50], [50], [50], [255], [255]]);
  });

  it("gives the wanted size for every image and stays inside it", () => {
    const side = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 30000 }));
    const wanted = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(
        side,
        side,
        fc.tuple(wanted, wanted),
        fc.constantFrom("centre-crop", "stretch", "pad", "crop"),
        (height, width, size: Size, fit) => {
          const view = fitView(height, width, size, fit);
          expect(view.place?.size ?? view.size).toEqual(size);
          expect(view.box.top).toBeGreaterThanOrEqual(-1e-9);
          expect(view.box.left).toBeGreaterThanOrEqual(-1e-9);
          expect(view.box.top + view.box.height).toBeLessThanOrEqual(height * (1 + 1e-9));
          expect(view.box.left + view.box.width).toBeLessThanOrEqual(width * (1 + 1e-9));
          if (view.place) {
            expect(view.place.top + view.size[0]).toBeLessThanOrEqual(size[0]);
            expect(view.place.left + view.size[1]).toBeLessThanOrEqual(size[1]);
          }
        },
      ),
    );
  });
});
