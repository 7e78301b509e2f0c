import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { wrapText } from "@unmask/core";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { type GridImages, gridImages, type Picture, pictureGrid } from "./grid.js";
import { savePicture } from "./save-picture.js";

/** Two images of 2 x 2 pixels; each column of the grid holds one level. */
function levels(channels: number, values: [number, number, number, number]): GridImages {
  const fill = (value: number) => new Float32Array(2 * 2 * 2 * channels).fill(value);
  const [original, masked, reconstructed, combined] = values.map(fill) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  return { shape: [2, 2, 2, channels], original, masked, reconstructed, combined, note: "as predicted" };
}

const cell = 160;
const gap = 8;

/** Colour in the middle of a cell, rows counted from below, where only the note's line and its margins lie. */
function colourAt({ pixels, width, height }: Picture, rowFromBelow: number, column: number): number[] {
  const y = height - (22 + gap) - gap - rowFromBelow * (cell + gap) - cell / 2;
  const x = gap + column * (cell + gap) + cell / 2;
  return [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

describe("pictureGrid", () => {
  it("draws a row for each image and a column for each stage, clipped, gray where there is no number", () => {
    const picture = pictureGrid(levels(1, [0.2, Number.NaN, -3, 7]));
    for (const row of [0, 1])
      expect([0, 1, 2, 3].map((column) => colourAt(picture, row, column)[0])).toEqual([51, 128, 0, 255]);
    expect(picture.width).toBe(gap + 4 * (cell + gap));
  });

  it("enlarges pixels into squares, in their order", () => {
    const images = levels(1, [0, 0, 0, 0]);
    images.original.set([0, 0.2, 0.4, 0.6, 0, 0, 0, 0]);
    const { pixels, width } = pictureGrid(images);
    const seen = [...new Set(pixels)].filter((value) => ![0, 60, 255].includes(value));
    expect(seen).toEqual([51, 102, 153]);
    for (const value of seen)
      expect(pixels.filter((pixel) => pixel === value).length).toBe((cell / 2) ** 2 * 3);
    expect(pixels.indexOf(102)).toBeGreaterThan(pixels.indexOf(51) + width);
  });

  it("draws the first three bands or those asked for, over the range asked for", () => {
    const images = levels(5, [0, 0, 0, 0]);
    for (let i = 0; i < images.original.length; i++) images.original[i] = (i % 5) * 1000;
    expect(colourAt(pictureGrid(images, { range: [0, 4000] }), 0, 0)).toEqual([0, 64, 128]);
    expect(colourAt(pictureGrid(images, { range: [0, 4000], bands: [4, 2, 0] }), 0, 0)).toEqual([
      255, 128, 0,
    ]);
    expect(() => pictureGrid(images, { bands: [0, 1, 5] })).toThrow(
      /bands \[0,1,5\] must be channels of 0-4/,
    );
  });

  it("writes titles above and the note below", () => {
    const images = levels(1, [1, 1, 1, 1]);
    const ink = ({ pixels, width }: Picture, from: number, to: number) =>
      pixels.subarray(from * width * 3, to * width * 3).filter((value) => value === 60).length;
    const picture = pictureGrid(images);
    const without = pictureGrid({ ...images, note: "" });
    const top = picture.height - 22 - gap - 2 * (cell + gap);
    expect(ink(picture, 0, top)).toBeGreaterThan(1000);
    expect(ink(without, 0, top)).toBe(ink(picture, 0, top));
    expect(ink(picture, top, picture.height)).toBeGreaterThan(300);
    expect(ink(without, top, without.height)).toBe(0);
  });

  it("names arrays that do not fit the shape", () => {
    const images = levels(1, [0, 0, 0, 0]);
    expect(() => pictureGrid({ ...images, masked: new Float32Array(3) })).toThrow(
      /masked has 3 values.*needs 8/,
    );
  });
});

describe("gridImages and savePicture", () => {
  it("take tensors to a PNG file and leave the tensors alone", async () => {
    const original = tf.fill([1, 2, 2, 3], 0.25) as tf.Tensor4D;
    const before = tf.memory().numTensors;
    const images = await gridImages({
      original,
      masked: original,
      reconstructed: original,
      combined: original,
      note: "n",
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(images.shape).toEqual([1, 2, 2, 3]);
    original.dispose();

    const root = mkdtempSync(join(tmpdir(), "unmask-pictures-"));
    try {
      const picture = pictureGrid(images);
      await savePicture(join(root, "new", "grid.png"), picture);
      const { data, info } = await sharp(join(root, "new", "grid.png"))
        .raw()
        .toBuffer({ resolveWithObject: true });
      expect([info.height, info.width]).toEqual([picture.height, picture.width]);
      expect(Buffer.compare(data, picture.pixels)).toBe(0);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe("wrapText", () => {
  it("breaks at spaces and keeps every word", () => {
    expect(wrapText("reconstructed + visible", 160, 2)).toEqual(["reconstructed", "+ visible"]);
    expect(wrapText("one two", 1000, 2)).toEqual(["one two"]);
    expect(wrapText("overlongword a", 24, 2)).toEqual(["overlongword", "a"]);
  });
});
