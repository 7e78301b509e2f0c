import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, extractFeatures } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { GraphSample } from "../graph.js";
import { graphMae } from "../methods/graph-mae.js";
import { scgc } from "../methods/scgc.js";
import { skeletonClassifier } from "../methods/skeleton-classifier.js";
import { skeletonMae } from "../methods/skeleton-mae.js";
import { modality } from "./index.js";

const planetoid = fileURLToPath(new URL("../../test/fixtures/planetoid", import.meta.url));
const open = (source: string, data = {}) => modality.open(source, { method: graphMae, config: {}, data });
let root = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  root = mkdtempSync(join(tmpdir(), "unmask-graph-"));
  writeFileSync(join(root, "two.txt"), "2\n2 1\n0 1 1\n0 1 0\n3 0\n1 2 1 2\n0 1 0\n0 1 0\n");
});
afterAll(() => rmSync(root, { recursive: true }));

it("opens the nodes of a data set, and the parts of its split", async () => {
  const whole = open(`${planetoid}#tiny`);
  expect([whole.length, [...whole.labels!]]).toEqual([8, [0, 1, 2, 0, 1, 1, -1, 2]]);
  const test = open(`${planetoid}#tiny:test`);
  expect([[...test.labels!], test.nameOf(1)]).toEqual([[1, 2], "7"]);
  expect([...open(`${planetoid}#:train`).labels!]).toEqual([0, 1]);
  expect(() => open(`${planetoid}#tiny:held`)).toThrow(
    "no part held of a split; use train, validation, test",
  );
  expect(() => open(`${join(root, "two.txt")}#:train`)).toThrow("a collection has no published split");
  expect([...modality.raw.features(await test.take(2))]).toEqual([0, 1, 0, 0, 0, 0, 1, 0]);
});

it("takes sizes from the data and trains small graphs of nodes whole", async () => {
  const configure = (method: typeof graphMae | typeof scgc, source: string) =>
    modality.configure({ method, source, data: {}, given: {} });
  expect((await configure(graphMae, planetoid)).config).toEqual({ features: 4 });
  expect((await configure(scgc, planetoid)).config).toEqual({ features: 4, clusters: 3 });
  const collection = await configure(graphMae, join(root, "two.txt"));
  expect([collection.config, collection.notes]).toEqual([{ features: 2 }, ["2 graphs, 2 features a node"]]);
  expect((await modality.training!(open(planetoid))).batchSize).toBe(8);
  expect((await modality.training!(open(join(root, "two.txt")))).batchSize).toBe(32);
});

it("opens skeletons for SkeletonMAE and for the classifier of its encoder", async () => {
  const clips = join(root, "clips");
  mkdirSync(clips);
  for (const action of ["a01", "a03"])
    writeFileSync(join(clips, `${action}_s01_e01.txt`), "1 2 3 1\n4 5 6 1\n".repeat(5));
  const data = { joints: 2 };
  for (const method of [skeletonMae, skeletonClassifier]) {
    const { config } = await modality.configure({ method, source: clips, data, given: { frames: 4 } });
    expect(config).toEqual({ joints: 2, channels: 3, persons: 1 });
    const dataset = modality.open(clips, { method, config: { ...config, frames: 4 }, data });
    expect([dataset.classes, [...dataset.labels!]]).toEqual([
      ["A01", "A03"],
      [0, 1],
    ]);
    expect(await dataset.take(1)).toMatchObject([{ persons: 1, frames: 4, joints: 2, label: 0 }]);
  }
});

it("features of nodes do not depend on which others are asked for; reconstructions become a table", async () => {
  const model = createModel(graphMae, { features: 4, width: 8, heads: 2 }, { seed: 1 });
  const dataset = open(planetoid);
  const [all, few] = [
    await extractFeatures(model, dataset),
    await extractFeatures(model, dataset, { batchSize: 3 }),
  ];
  few.features.forEach((value, i) => {
    expect(value).toBeCloseTo(all.features[i]!, 5);
  });
  const samples = (await dataset.take(8)) as GraphSample[];
  const shown = model.reconstruct(samples, createRandom(1));
  const files = await modality.writeReconstruction!(shown, join(root, "pictures", "one"));
  disposeAll(shown);
  const lines = readFileSync(files[0]!, "utf8").trim().split("\n");
  expect(lines).toHaveLength(1 + 4);
  expect(lines[1]).toMatch(/^[0-7],-?[01]\.\d{4},[\d ]*,[\d ]*$/);
  model.dispose();
});
