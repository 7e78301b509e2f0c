import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resample } from "./resample.js";
import type { Box, Size } from "./view.js";

interface Resized {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pixels: string;
  readonly box: Box;
  readonly size: Size;
  readonly bytes: string;
  readonly floats: string;
}

const fixture = JSON.parse(readFileSync(new URL("../../test/fixtures/views.json", import.meta.url), "utf8"));
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));

function wholeOf({ height, width }: { height: number; width: number }): Box {
  return { top: 0, left: 0, height, width };
}

describe("resample", () => {
  const cases: [string, Resized][] = fixture.resized.map((c: Resized) => [
    `${c.height}x${c.width}x${c.channels} [${Object.values(c.box)}] -> ${c.size}`,
    c,
  ]);

  it.each(cases)("%s: bytes equal Pillow's", (_, c) => {
    const image = { ...c, pixels: bytesOf(c.pixels) };
    const out = resample(image, { window: wholeOf(c), box: c.box, size: c.size, flip: false });
    expect([out.height, out.width, out.channels]).toEqual([...c.size, c.channels]);
    expect(out.pixels).toEqual(bytesOf(c.bytes));
  });

  it.each(cases)("%s: floats equal Pillow's to 1e-6", (_, c) => {
    const pixels = Float32Array.from(bytesOf(c.pixels), (value) => value / 255);
    const out = resample({ ...c, pixels }, { window: wholeOf(c), box: c.box, size: c.size, flip: false });
    const expected = new Float32Array(bytesOf(c.floats).buffer);
    expect(out.pixels.length).toBe(expected.length);
    out.pixels.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6);
    });
  });

  it("keeps 16 bits, clipped where the kernel overshoots", () => {
    const pixels = Uint16Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 300 : 65535));
    const whole = { top: 0, left: 0, height: 8, width: 8 };
    const out = resample(
      { pixels, height: 8, width: 8, channels: 1 },
      { window: whole, box: whole, size: [8, 32], flip: false },
    );
    const row = [...out.pixels.subarray(0, 32)];
    expect(out.pixels).toBeInstanceOf(Uint16Array);
    expect(row[0]).toBe(300);
    expect(row.at(-1)).toBe(65535);
    expect(Math.min(...row)).toBe(0); // undershoot beside the edge
  });

  it("mirrors, with and without resampling", () => {
    const pixels = Uint8Array.from({ length: 5 * 7 * 3 }, (_, i) => (i * 37) % 256);
    const image = { pixels, height: 5, width: 7, channels: 3 };
    const window = wholeOf(image);
    for (const size of [
      [5, 7],
      [5, 12],
      [9, 4],
    ] as const) {
      const plain = resample(image, { window, box: window, size, flip: false });
      const flipped = resample(image, { window, box: window, size, flip: true });
      for (let y = 0; y < size[0]; y++)
        for (let x = 0; x < size[1]; x++)
          for (let c = 0; c < 3; c++)
            expect(flipped.pixels[(y * size[1] + x) * 3 + c]).toBe(
              plain.pixels[(y * size[1] + size[1] - 1 - x) * 3 + c],
            );
    }
  });

  it("shows nothing from beside the window", () => {
    const pixels = new Uint8Array(12 * 12).fill(255);
    for (let y = 4; y < 8; y++) pixels.fill(10, y * 12 + 4, y * 12 + 8);
    const crop = { top: 4, left: 4, height: 4, width: 4 };
    const out = resample(
      { pixels, height: 12, width: 12, channels: 1 },
      { window: crop, box: crop, size: [9, 9], flip: false },
    );
    expect(new Set(out.pixels)).toEqual(new Set([10]));
  });

  it("gives the image itself where there is nothing to do, and cuts without changing values", () => {
    const pixels = Float32Array.from({ length: 6 * 6 }, (_, i) => i / 7);
    const image = { pixels, height: 6, width: 6, channels: 1 };
    const window = wholeOf(image);
    expect(resample(image, { window, box: window, size: [6, 6], flip: false })).toBe(image);
    const box = { top: 2, left: 1, height: 2, width: 3 };
    const out = resample(image, { window, box, size: [2, 3], flip: false });
    expect([...out.pixels]).toEqual([13, 14, 15, 19, 20, 21].map((i) => Math.fround(i / 7)));
  });
});
