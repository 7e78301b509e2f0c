import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createModel,
  createRandom,
  disposeAll,
  encodeNpy,
  type Method,
  type Model,
  rawTensor,
  resolveConfig,
  startEngine,
} from "@unmask/core";
import { savePicture } from "@unmask/image";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dualEncoder } from "../methods/dual-encoder.js";
import { modality } from "./index.js";

let folder: string;
beforeAll(async () => {
  await startEngine("cpu");
  folder = mkdtempSync(join(tmpdir(), "unmask-multimodal-"));
  const random = createRandom(1);
  for (const [name, bands] of [
    ["S2", 3],
    ["S1", 2],
  ] as const) {
    mkdirSync(join(folder, "places", name), { recursive: true });
    for (const place of ["a", "b"]) {
      const array = rawTensor(random.normals(32 * 32 * bands), [32, 32, bands]);
      writeFileSync(join(folder, "places", name, `${place}.npy`), encodeNpy(array));
    }
  }
  mkdirSync(join(folder, "tiles", "rgb"), { recursive: true });
  const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, () => random.int(200));
  await savePicture(join(folder, "tiles", "rgb", "a.png"), { pixels, height: 32, width: 32 });
  const line = (label: string) => JSON.stringify({ label, voxels: Array.from(random.normals(12)) });
  const caption = (text: string) => JSON.stringify({ video: "a.mp4", text: { text } });
  writeFileSync(join(folder, "captions.jsonl"), ["a dog runs", "a dog sleeps"].map(caption).join("\n"));
  writeFileSync(join(folder, "volumes.jsonl"), ["face", "house", "face"].map(line).join("\n"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the command does with a path: settles the config, opens the data and computes a loss. */
async function firstLoss(id: string, path: string, given: object, data: object) {
  const method = modality.methods.find((one) => one.id === id) as Method;
  const source = join(folder, path);
  const request = {
    method,
    source,
    data: data as Record<string, unknown>,
    given: given as Record<string, unknown>,
  };
  const { config: settled, notes } = await modality.configure(request);
  const config = resolveConfig(method, { ...settled, ...given });
  const dataset = modality.open(source, { method, config, data: data as Record<string, unknown> });
  const model = createModel(method, config);
  const batch = model.prepare([await dataset.get(0, createRandom(1)), await dataset.get(1)], createRandom(2));
  const loss = model.loss(batch as object).total.dataSync()[0]!;
  disposeAll(batch);
  model.dispose();
  return { config: config as Record<string, unknown>, notes, loss, length: dataset.length };
}

it("croma: bands and size from two folders, cut into tiles", async () => {
  const small = { width: 8, depth: 2, heads: 2, decoderWidth: 8, decoderHeads: 2, patchSize: 4 };
  const data = { names: { optical: "S2", radar: "S1" }, tiles: 2 };
  const { config, loss, length } = await firstLoss("croma", "places", small, data);
  expect(config).toMatchObject({ opticalBands: 3, radarBands: 2, imageSize: [16, 16] });
  expect(length).toBe(8);
  expect(Number.isFinite(loss)).toBe(true);
});

it("croma: says which folders there are when names do not fit", async () => {
  await expect(firstLoss("croma", "places", {}, {})).rejects.toThrow(
    "no sample has an image optical, but S1, S2",
  );
});

it("multi-mae: a tile alone gets its stains", async () => {
  const small = { width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
  const { config, loss } = await firstLoss("multi-mae", "tiles", small, { tiles: 2 });
  expect(config.modalities).toEqual({ rgb: 3, haematoxylin: 1, eosin: 1 });
  expect(config).toMatchObject({ imageSize: [16, 16], patchSize: [2, 2], concentrations: [8, 1, 1] });
  expect(Number.isFinite(loss)).toBe(true);
});

it("mind-eye: vectors with labels", async () => {
  const small = { hidden: 8, blocks: 1, projectorWidth: 8, priorDepth: 1, priorHeads: 2, priorSteps: 4 };
  const { config, loss, length } = await firstLoss("mind-eye", "volumes.jsonl", small, {});
  expect(config).toMatchObject({ voxels: 12, tokens: 1, tokenWidth: 64 });
  expect(length).toBe(3);
  expect(Number.isFinite(loss)).toBe(true);
});

it("av-mae: an array for each folder", async () => {
  const small = {
    width: 8,
    depth: 2,
    fusionDepth: 1,
    heads: 2,
    hidden: 8,
    decoderWidth: 8,
    decoderDepth: 1,
    decoderHeads: 2,
    decoderHidden: 8,
  };
  const { config, loss } = await firstLoss("av-mae", "places", small, {});
  expect(config.modalities).toMatchObject({
    S1: { size: [32, 32], channels: 2 },
    S2: { size: [32, 32], channels: 3 },
  });
  expect(Number.isFinite(loss)).toBe(true);
});

const settled = (id: string, teachers = {}) =>
  modality.configure({
    ...{ source: join(folder, "captions.jsonl"), data: {}, given: {}, teachers },
    method: modality.methods.find((one) => one.id === id) as Method,
  });

it("smaug: words of the captions, a few frames", async () => {
  const { config, notes } = await settled("smaug");
  expect(config).toMatchObject({ video: { size: [4, 112, 112], patch: [16, 16] } });
  expect(config.vocabulary).toEqual(expect.arrayContaining(["dog", "runs", "sleeps", "[MASK]"]));
  expect(notes[0]).toMatch(/words learned from 2 texts/);
});

it("caption-guided-mae: clips and vectors as its guide's, which is no classifier", async () => {
  const small = { width: 8, depth: 1, textDepth: 1, heads: 2, projection: 6 };
  const guide = createModel(dualEncoder, { ...small, video: { size: [4, 16, 16], patch: [8, 8] } });
  const { config } = await settled("caption-guided-mae", { guide });
  expect(config).toEqual({ video: { size: [4, 16, 16], patch: [2, 8, 8] }, textWidth: 6 });
  expect(() =>
    modality.createClassifier!(guide as unknown as Model, { classes: 2 }, createRandom(1)),
  ).toThrow("dual-encoder has no classifier");
  guide.dispose();
});
