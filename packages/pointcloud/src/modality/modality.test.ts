import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createModel, createRandom, encodeNpz, rawTensor, resolveConfig } from "@unmask/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mae3d } from "../methods/mae-3d.js";
import { pointMae } from "../methods/point-mae.js";
import { modality } from "./index.js";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "unmask-clouds-"));
  const clouds = Int16Array.from({ length: 3 * 8 * 3 }, (_, i) => ((i * 7919) % 60000) - 30000);
  writeFileSync(join(root, "clouds.npz"), encodeNpz(new Map([["points", rawTensor(clouds, [3, 8, 3])]])));
  writeFileSync(join(root, "names.json"), JSON.stringify([{ cls: "b" }, { name: "?" }, { cls: "a" }]));
  writeFileSync(join(root, "other.json"), "{}");
  mkdirSync(join(root, "files", "x"), { recursive: true });
  writeFileSync(join(root, "files", "x", "1.xyz"), "0 0 0\n1 0 0\n0 1 0\n");
  mkdirSync(join(root, "bad"));
  writeFileSync(join(root, "bad", "1.ply"), "nonsense");
});
afterAll(() => rmSync(root, { recursive: true }));

const config = resolveConfig(pointMae, { points: 8 });
const open = (source: string | string[], data = {}) =>
  modality.open(source, { method: pointMae, config, data });

describe("open", () => {
  it("takes a folder with one archive as that archive, and its labels from the list beside it", async () => {
    const dataset = open(root);
    expect([dataset.length, dataset.classes, [...dataset.labels!]]).toEqual([3, ["a", "b"], [1, -1, 0]]);
    expect([...open(root, { labelKey: "name" }).labels!]).toEqual([-1, 0, -1]);
    expect([...open(join(root, "clouds.npz")).labels!]).toEqual([1, -1, 0]);
  });

  it("takes folders of files and single files", async () => {
    expect(open(join(root, "files")).classes).toEqual(["x"]);
    const single = open([join(root, "files", "x", "1.xyz")]);
    expect((await single.get(0)).points).toHaveLength(24);
    expect(() => open(join(root, "none"))).toThrow("there is no");
  });
});

describe("configure", () => {
  const configure = (source: string) =>
    modality.configure({ method: pointMae, source, data: {}, given: { points: 8 } });

  it("says how many clouds there are, or why none can be read", async () => {
    expect((await configure(root)).notes[0]).toBe("3 point clouds, 8 points of each");
    await expect(configure(join(root, "bad"))).rejects.toThrow("no complete header");
  });
});

describe("classifiers", () => {
  const widths = { points: 16, patches: 4, patchSize: 4, neighbours: 3, edgeWidths: [8], width: 8 };
  const small = {
    ...widths,
    depth: 1,
    decoderDepth: 1,
    heads: 1,
    headWidth: 8,
    hiddenWidth: 8,
    foldingWidth: 8,
  };

  it("take the settings of the one that a model becomes: MAE3D's a DGCNN's", () => {
    const model = createModel(mae3d, small, { seed: 1 });
    const { schema } = modality.classifierFor!(model);
    const settings = schema.parse({ headWidths: [8, 8], frozen: true }) as { headWidths: number[] };
    expect(settings.headWidths).toEqual([8, 8]);
    const made = { headWidths: [8, 8], frozen: true, classes: 3 };
    const classifier = modality.createClassifier!(model, made, createRandom(1));
    expect([classifier.method.id, classifier.config]).toEqual([
      "dgcnn-classifier",
      expect.objectContaining({ ...made, width: 8, neighbours: 3 }),
    ]);
    model.dispose();
    classifier.dispose();
  });
});

describe("raw features", () => {
  it("do not depend on the order of points", async () => {
    const { points } = await open(root).get(0);
    const turned = Float32Array.from({ length: 24 }, (_, i) => points[21 - 3 * Math.floor(i / 3) + (i % 3)]!);
    const [a, b] = [points, turned].map((own) => modality.raw.features([{ points: own }]));
    expect(b).toEqual(a);
    expect([...a!.subarray(0, 8)]).toEqual([...a!.subarray(0, 8)].sort((x, y) => x - y));
  });
});
