import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  flatten,
  interpolatePositions,
  type Model,
  readParameters,
  tidy,
} from "@unmask/core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mae } from "../methods/mae.js";
import { vit } from "../methods/vit.js";
import { createVitClassifier } from "./classifier.js";
import { fitSizes } from "./configure.js";
import { exportImageModel, importImageModel } from "./foreign.js";
import { modality } from "./index.js";

let root = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  root = mkdtempSync(join(tmpdir(), "unmask-modality-"));
  process.env.XDG_CACHE_HOME = join(root, "cache");
});
afterAll(() => rmSync(root, { recursive: true }));

const TINY = { width: 16, depth: 2, heads: 2, decoderWidth: 12, decoderDepth: 1, decoderHeads: 3 };

async function folder(name: string, sizes: readonly (readonly [number, number])[], gray = false) {
  const path = join(root, name);
  mkdirSync(path);
  for (const [i, [height, width]] of sizes.entries()) {
    const image = sharp({ create: { width, height, channels: 3, background: { r: 20 * i, g: 80, b: 40 } } });
    await (gray ? image.toColourspace("b-w") : image).png().toFile(join(path, `${i}.png`));
  }
  return path;
}

describe("fitSizes", () => {
  it.each([
    [[28, 28], [28, 28], 4],
    [[32, 32], [32, 32], 4],
    [[64, 64], [64, 64], 8],
    [[72, 72], [72, 72], 8],
    [[96, 96], [96, 96], 8],
    [[128, 128], [128, 128], 16],
    [[224, 224], [224, 224], 16],
    [[1000, 1000], [224, 224], 16],
    [[48, 96], [48, 96], 8],
    [[16, 16], [16, 16], 2],
    [[1, 1], [6, 6], 2],
  ] as const)("images of %j become %j in patches of %i", (images, size, patch) => {
    expect(fitSizes(images)).toEqual([size, [patch, patch]]);
  });

  it("keeps what is given", () => {
    expect(fitSizes([500, 500], [100, 100])).toEqual([
      [100, 100],
      [10, 10],
    ]);
    expect(fitSizes([90, 60], undefined, [14, 14])).toEqual([
      [84, 56],
      [14, 14],
    ]);
    expect(fitSizes([90, 60], [32, 32], [16, 16])).toEqual([
      [32, 32],
      [16, 16],
    ]);
  });
});

describe("configure", () => {
  const configure = (source: string, given = {}) =>
    modality.configure({ method: mae, source, data: {}, given });

  it("takes size, channels, mean and deviation from the pictures, and says so", async () => {
    const gray = await configure(await folder("gray", Array(4).fill([32, 32]), true));
    expect(gray.config).toMatchObject({ imageSize: [32, 32], patchSize: [4, 4], channels: 1 });
    expect((gray.config.mean as number[]).length).toBe(1);
    expect(gray.notes.join("\n")).toContain("imageSize 32x32, patchSize 4x4, 64 patches");
    const mixed = await configure(
      await folder("mixed", [
        [60, 80],
        [70, 64],
        [200, 100],
      ]),
    );
    expect(mixed.config).toMatchObject({ imageSize: [64, 64], patchSize: [8, 8], channels: 3 });
  });

  it("decides nothing that is given", async () => {
    const source = await folder("given", [[32, 32]]);
    const given = { imageSize: 16, patchSize: 4, channels: 3, mean: [0.5], std: [0.5] };
    expect((await configure(source, given)).config).toEqual({});
    const { mean: _, ...rest } = given;
    expect(Object.keys((await configure(source, rest)).config)).toEqual(["mean"]);
  });
});

describe("open", () => {
  it("finds the labels beside an idx file, and MNIST's files in a folder", async () => {
    const directory = join(root, "idx");
    mkdirSync(directory);
    const header = (type: number, ...shape: number[]) => [
      0,
      0,
      8,
      type,
      ...shape.flatMap((n) => [0, 0, 0, n]),
    ];
    const pixels = Array.from({ length: 3 * 16 }, (_, i) => i);
    writeFileSync(
      join(directory, "train-images-idx3-ubyte"),
      Uint8Array.from([...header(3, 3, 4, 4), ...pixels]),
    );
    writeFileSync(join(directory, "train-labels-idx1-ubyte"), Uint8Array.from([...header(1, 3), 2, 0, 1]));
    const options = { method: mae, config: { imageSize: [4, 4], channels: 1 }, data: {} };
    const file = join(directory, "train-images-idx3-ubyte");
    for (const source of [directory, file, [file]]) {
      const dataset = modality.open(source, options);
      expect([...dataset.labels!]).toEqual([2, 0, 1]);
      const [first] = await dataset.take(1);
      expect([...modality.raw.features([first])]).toEqual(
        pixels.slice(0, 16).map((v) => Math.fround(v / 255)),
      );
    }
  });
});

describe("createClassifier", () => {
  const source = () =>
    createModel(mae, { ...TINY, imageSize: 16, patchSize: 4, channels: 1 }, { seed: 3 }) as Model;
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];

  it("begins with the encoder, its positions interpolated, under a new head", () => {
    const encoder = source();
    const settings = { classes: 5, imageSize: 24, pool: "cls" };
    const classifier = createVitClassifier(encoder, settings, createRandom(1));
    expect(classifier.config).toMatchObject({ imageSize: [24, 24], classes: 5, width: 16, dropPath: 0.1 });
    for (const path of ["cls_token", "patch_embed.proj.weight", "blocks.1.attn.qkv.weight", "norm.weight"])
      expect(values(classifier, path)).toEqual(values(encoder, path));
    const table = flatten(encoder.params).get("pos_embed")!;
    const expected = tidy(() => interpolatePositions(table, [4, 4], [6, 6], { cls: 1 }));
    expect(values(classifier, "pos_embed")).toEqual([...expected.dataSync()]);
    expect(flatten(classifier.params).get("pos_embed")!.trainable).toBe(true);
  });

  it("keeps the head of a classifier that tells as many classes apart", () => {
    const config = {
      ...{ width: 16, depth: 1, heads: 2 },
      imageSize: 8,
      patchSize: 4,
      channels: 1,
      classes: 4,
    };
    const model = createModel(vit, config, { seed: 1 }) as Model;
    const same = createVitClassifier(model, { classes: 4 }, createRandom(2));
    expect(values(same, "head.weight")).toEqual(values(model, "head.weight"));
    const more = createVitClassifier(model, { classes: 6 }, createRandom(2));
    expect(flatten(more.params).get("head.weight")!.shape).toEqual([6, 16]);
  });

  it("names unknown settings", () => {
    expect(() => createVitClassifier(source(), { clases: 4 }, createRandom(0))).toThrow("clases");
  });
});

describe("importModel and exportModel", () => {
  const model = createModel(mae, { ...TINY, imageSize: 16, patchSize: 4, channels: 1 }, { seed: 3 });
  const hints = { heads: 2, decoderHeads: 3 };

  it("take the official layout as it is, in both directions", async () => {
    const parameters = await readParameters(model.params);
    const { config } = model;
    const official = exportImageModel({ method: "mae", config, parameters }, "official");
    expect(official.parameters).toEqual(parameters);
    const imported = importImageModel(official, { ...hints, mean: config.mean, std: config.std });
    expect(imported.config).toEqual(config);
    expect(imported.method.id).toBe("mae");
    expect(() => importImageModel(official, {})).toThrow("give heads for width 16");
  });

  it("carry mean and deviation through a folder of transformers", async () => {
    const parameters = await readParameters(model.params);
    const config = { ...model.config, mean: [0.3], std: [0.2] };
    const folder = exportImageModel({ method: "mae", config, parameters }, "huggingface");
    const imported = importImageModel(folder, {});
    expect(imported.config).toEqual(config);
    expect(imported.parameters).toEqual(parameters);
  });

  it("refuse methods that the layouts have no place for", () => {
    const other = { method: "other", config: {}, parameters: new Map() };
    expect(() => exportImageModel(other, "official")).toThrow("other has no official layout");
  });
});
