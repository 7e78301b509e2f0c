import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { createRandom } from "@unmask/core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomResizedCrop } from "./augment/augmentations.js";
import { mae } from "./methods/mae.js";
import { openImages } from "./modality/data.js";
import { arrayImages } from "./read/array-images.js";
import { imageFolder } from "./read/image-folder.js";
import type { ImageSample } from "./sample.js";
import { severalViews, viewTensor, withViews } from "./views.js";

let root = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  root = mkdtempSync(join(tmpdir(), "unmask-views-"));
  for (const [name, width, height] of [
    ["small", 40, 30],
    ["large", 900, 600],
  ] as const) {
    mkdirSync(join(root, name));
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i % (width * 3)) / width) * 80);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .jpeg()
      .toFile(join(root, name, "x.jpg"));
  }
});
afterAll(() => rmSync(root, { recursive: true }));

const two = severalViews(randomResizedCrop(8), randomResizedCrop(6));

describe("training views", () => {
  it("are drawn apart from one decoded picture, which evaluation sees as it is", async () => {
    const seen: ImageSample[] = [];
    const folder = imageFolder(root, {
      size: 8,
      trainingView: (picture, random) => {
        seen.push(picture);
        return two(picture, random);
      },
    });
    const small = await folder.get(1, createRandom(3));
    expect(seen).toMatchObject([{ height: 30, width: 40 }]);
    expect(small).toMatchObject({ height: 8, width: 8, label: 1 });
    expect(small.views?.map(({ height, width }) => [height, width])).toEqual([
      [8, 8],
      [6, 6],
    ]);
    expect(small.pixels).toBe(small.views?.[0]?.pixels);
    expect(await folder.get(1, createRandom(3))).toEqual(small);
    expect(await folder.get(1, createRandom(4))).not.toEqual(small);
    expect(await folder.get(1)).not.toHaveProperty("views");
  });

  it("come from a large picture that was reduced while it was decoded, unless they need all of it", async () => {
    const seen: ImageSample[] = [];
    const trainingView = (picture: ImageSample) => {
      seen.push(picture);
      return picture;
    };
    await imageFolder(join(root, "large"), { size: 32, trainingView }).get(0, createRandom(1));
    const whole = Object.assign(trainingView, { fullResolution: true });
    await imageFolder(join(root, "large"), { size: 32, trainingView: whole }).get(0, createRandom(1));
    expect(seen).toMatchObject([
      { height: 128, width: 192 },
      { height: 600, width: 900 },
    ]);
  });

  it("work on images in memory", async () => {
    const images = arrayImages(new Uint8Array(2 * 12 * 10), { height: 12, width: 10, trainingView: two });
    expect((await images.get(0, createRandom(1))).views).toHaveLength(2);
  });

  it("are the method's affair where it has them, and nobody else's", async () => {
    const method = { ...mae, trainingView: () => two };
    const config = mae.schema.parse({ imageSize: 8, patchSize: 4 });
    const open = (data: object) => openImages(join(root, "small"), { method, config, data: { ...data } });
    expect((await open({}).get(0, createRandom(1))).views).toHaveLength(2);
    expect(() => open({ augment: "crop" })).toThrow("mae makes its own training views");
  });
});

describe("viewTensor", () => {
  const gray = (level: number): ImageSample => ({
    pixels: Float32Array.of(level),
    height: 1,
    width: 1,
    channels: 1,
  });
  const input = { imageSize: [1, 1], channels: 1, mean: [0], std: [1] } as const;

  it("holds all first views, then all second views", () => {
    const samples = [withViews([gray(1), gray(2)]), withViews([gray(3), gray(4)])];
    expect([...viewTensor(input, samples, "x").dataSync()]).toEqual([1, 3, 2, 4]);
    expect([...viewTensor(input, samples, "x", [1, 2]).dataSync()]).toEqual([2, 4]);
  });

  it("says how to get views where a sample has none", () => {
    expect(() => viewTensor(input, [gray(1)], "simclr")).toThrow(
      "open the data with trainingView: simclr.trainingView(config)",
    );
  });
});
