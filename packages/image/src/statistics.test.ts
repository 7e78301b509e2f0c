import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "@unmask/core";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { arrayImages } from "./read/array-images.js";
import { imageFolder } from "./read/image-folder.js";
import { pixelStatistics } from "./statistics.js";
import { folderStatistics } from "./statistics-cache.js";

/** Two passes over everything at once. */
function direct(values: number[], channels: number) {
  return Array.from({ length: channels }, (_, c) => {
    const own = values.filter((_, i) => i % channels === c);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    return [mean, Math.sqrt(own.reduce((a, b) => a + (b - mean) ** 2, 0) / own.length)];
  });
}

describe("pixelStatistics", () => {
  it("equals two passes over all pixels, in units of white", async () => {
    const random = createRandom(1);
    const bytes = Uint8Array.from({ length: 37 * 4 * 5 * 3 }, (_, i) => random.int(60 + 90 * (i % 3)));
    const { mean, std, images } = await pixelStatistics(
      arrayImages(bytes, { height: 4, width: 5, channels: 3 }),
    );
    expect(images).toBe(37);
    direct([...bytes], 3).forEach(([m, s], c) => {
      expect(mean[c]).toBeCloseTo(m! / 255, 12);
      expect(std[c]).toBeCloseTo(s! / 255, 12);
    });
  });

  it("loses nothing to a large offset", async () => {
    const values = Float32Array.from({ length: 64 * 9 }, (_, i) => 100000 + (i % 2));
    const { mean, std } = await pixelStatistics(arrayImages(values, { height: 3, width: 3 }));
    expect(mean[0]).toBeCloseTo(100000.5, 9);
    expect(std[0]).toBeCloseTo(0.5, 9);
  });

  it("spreads a limited measurement over the whole data set and tells how far it is", async () => {
    const values = Float32Array.from({ length: 100 }, (_, i) => i);
    const seen: number[][] = [];
    const { mean, images } = await pixelStatistics(arrayImages(values, { height: 1, width: 1 }), {
      limit: 20,
      onProgress: (...progress) => seen.push(progress),
    });
    expect([images, mean[0]]).toEqual([20, 47.5]); // 0, 5, .. 95
    expect(seen).toEqual([
      [16, 20],
      [20, 20],
    ]);
  });
});

describe("folderStatistics", () => {
  let directory: string;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "unmask-statistics-"));
    for (const level of [50, 150])
      await sharp({ create: { width: 2, height: 2, channels: 3, background: { r: level, g: 0, b: 0 } } })
        .png()
        .toFile(join(directory, `${level}.png`));
    writeFileSync(join(directory, "bad.png"), "");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  async function measure(limit?: number) {
    let measured = false;
    const statistics = await folderStatistics(imageFolder(directory, { size: 2 }), {
      cacheDirectory: join(directory, ".cache"),
      onProgress: () => {
        measured = true;
      },
      ...(limit && { limit }),
    });
    return { measured, statistics };
  }

  it("measures once, passing over bad files", async () => {
    const first = await measure();
    expect(first.measured).toBe(true);
    expect(first.statistics).toMatchObject({ images: 2, skipped: 1 });
    expect(first.statistics.mean[0]).toBeCloseTo(100 / 255, 12);
    expect(first.statistics.std[0]).toBeCloseTo(50 / 255, 12);
    expect(await measure()).toEqual({ measured: false, statistics: first.statistics });
  });

  it("measures where it can keep nothing", async () => {
    writeFileSync(join(directory, ".cache"), "a file where the cache wants a folder");
    expect((await measure()).statistics.images).toBe(2);
  });

  it("measures again when a file changed, for another limit, and when what it kept is damaged", async () => {
    await measure();
    expect((await measure(1)).measured).toBe(true);
    utimesSync(join(directory, "50.png"), 5, 5);
    expect((await measure()).measured).toBe(true);
    for (const file of readdirSync(join(directory, ".cache")))
      writeFileSync(join(directory, ".cache", file), '{"mean":');
    expect((await measure()).measured).toBe(true);
    expect((await measure()).measured).toBe(false);
  });
});
