import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createRandom, FormatError } from "@unmask/core";
import { afterAll, describe, expect, it } from "vitest";
import { arrayImages } from "./array-images.js";
import { idxImages } from "./idx-images.js";

describe("arrayImages", () => {
  const pixels = Uint16Array.from({ length: 3 * 4 * 5 * 2 }, (_, i) => i * 3);

  it("gives each image with its class, in its own size and type", async () => {
    const images = arrayImages(pixels, { height: 4, width: 5, channels: 2, labels: [7, -1, 9] });
    expect([images.length, ...images.labels!]).toEqual([3, 7, -1, 9]);
    const sample = await images.get(2, createRandom(1));
    expect(sample).toEqual({ pixels: pixels.subarray(80), height: 4, width: 5, channels: 2, label: 9 });
    expect(sample.pixels).toBeInstanceOf(Uint16Array);
  });

  it("crops training views at random and cuts evaluation views to size", async () => {
    const images = arrayImages(pixels, { height: 4, width: 5, channels: 2, size: 3, augment: "crop-flip" });
    const views = await Promise.all([1, 2, 3].map((seed) => images.get(0, createRandom(seed))));
    expect(new Set(views.map((view) => view.pixels.join())).size).toBe(3);
    for (const view of [...views, await images.get(0)])
      expect([view.height, view.width, view.pixels.length]).toEqual([3, 3, 18]);
    expect(await images.get(0)).toEqual(await images.get(0));
  });

  it("names what does not fit", async () => {
    expect(() => arrayImages(pixels, { height: 7, width: 5 })).toThrow(
      /120 values are not a whole number of 7x5x1/,
    );
    expect(() => arrayImages(pixels, { height: 4, width: 5, channels: 2, labels: [1] })).toThrow(
      /3 images .* got 1/,
    );
    expect(() => arrayImages(pixels, { height: 4, width: 5, size: 0 })).toThrow(/size must be/);
    await expect(arrayImages(pixels, { height: 4, width: 5 }).get(6)).rejects.toThrow(/no image 6.*0-5/);
  });
});

describe("idxImages", () => {
  const root = mkdtempSync(join(tmpdir(), "unmask-idx-"));
  afterAll(() => rmSync(root, { recursive: true }));
  const put = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(root, name), bytes);
    return join(root, name);
  };
  const idx = (shape: number[], data: ArrayLike<number>) => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    header.set([0, 0, 8, shape.length]);
    shape.forEach((n, axis) => {
      header.writeUInt32BE(n, 4 + 4 * axis);
    });
    return Buffer.concat([header, Uint8Array.from(data)]);
  };
  const data = Array.from({ length: 2 * 3 * 4 }, (_, i) => i * 10);
  const images = idx([2, 3, 4], data);

  it("reads images and labels, plain and gzipped", async () => {
    const labels = put("labels", idx([2], [3, 1]));
    for (const file of [put("plain", images), put("zipped.gz", gzipSync(images))]) {
      const set = idxImages(file, labels);
      expect([...set.labels!]).toEqual([3, 1]);
      expect(await set.get(1)).toEqual({
        pixels: Uint8Array.from(data.slice(12)),
        height: 3,
        width: 4,
        channels: 1,
        label: 1,
      });
    }
  });

  it("names the file that is damaged, of another kind or of another length", () => {
    const good = put("good", images);
    expect(() => idxImages(put("cut", images.subarray(0, 20)))).toThrow(FormatError);
    expect(() => idxImages(put("cut", images.subarray(0, 20)))).toThrow(/cut: idx/);
    expect(() => idxImages(put("flat", idx([4], [1, 2, 3, 4])))).toThrow(/U8 of shape \[4\]/);
    expect(() => idxImages(good, put("three", idx([3], [1, 2, 3])))).toThrow(
      /three has shape \[3\]; expected \[2\]/,
    );
  });
});
