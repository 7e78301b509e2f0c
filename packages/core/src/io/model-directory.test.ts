import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Method } from "../method.js";
import { createModel } from "../model.js";
import { initLinear, type LinearParams } from "../nn/linear.js";
import { createDataset } from "../train/dataset.js";
import { pretrain } from "../train/pretrain.js";
import { flatten } from "../tree.js";
import { describeModel, loadModel, saveModel } from "./model-directory.js";

interface Config {
  readonly width: number;
}

const line = {
  id: "line",
  modality: "vector",
  summary: "for these tests",
  paper: "none",
  schema: z.strictObject({ width: z.int().positive().default(3) }),
  presets: {},
  init: ({ width }, random) => initLinear(random, 2, width),
  prepare: (_, samples) => ({ x: tf.tensor2d([...samples], [samples.length, 2]) }),
  loss: ({ weight }, _, { x }) => ({
    total: tf.mean(tf.square(tf.matMul(x, weight, false, true))) as tf.Scalar,
  }),
  encode: ({ weight }, _, samples) =>
    tf.matMul(tf.tensor2d([...samples], [samples.length, 2]), weight, false, true),
} satisfies Method<Config, number[], { x: tf.Tensor2D }, LinearParams>;

let root = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  root = await mkdtemp(join(tmpdir(), "unmask-model-"));
});
afterAll(() => rm(root, { recursive: true }));

const weights = (model: { params: object }) => [...flatten(model.params).get("weight")!.dataSync()];

describe("saveModel and loadModel", () => {
  it("bring a model back, and leave nothing else behind", async () => {
    const directory = join(root, "new", "saved");
    const model = createModel(line, { width: 4 }, { seed: 5 });
    await saveModel(model, directory, { classes: ["a", "b"] });
    expect(await readdir(join(root, "new"))).toEqual(["saved"]);
    expect((await readdir(directory)).sort()).toEqual(["config.json", "model.safetensors"]);
    const before = tf.memory().numTensors;
    const loaded = await loadModel(directory, [line]);
    expect(loaded.config).toEqual({ width: 4 });
    expect(weights(loaded)).toEqual(weights(model));
    expect(await describeModel(directory)).toMatchObject({
      method: "line",
      modality: "vector",
      classes: ["a", "b"],
    });
    loaded.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("replace a model, but no other folder", async () => {
    const directory = join(root, "twice");
    await saveModel(createModel(line, {}, { seed: 1 }), directory);
    const second = createModel(line, {}, { seed: 2 });
    await saveModel(second, directory);
    expect(weights(await loadModel(directory, [line]))).toEqual(weights(second));
    await writeFile(join(directory, "notes.txt"), "mine");
    await expect(saveModel(second, directory)).rejects.toThrow("holds other files than a model's");
    expect(await readFile(join(directory, "notes.txt"), "utf8")).toBe("mine");
  });

  it("read the newest checkpoint of a run, and any checkpoint", async () => {
    const out = join(root, "run");
    const data = createDataset<number[]>({ name: "data", length: 4, get: async (i) => [i, 1] });
    const model = createModel(line, {}, { seed: 1 });
    const first = weights(model);
    const options = { epochs: 2, batchSize: 2, out, data: { modality: "vector", classes: ["x"] } };
    for await (const _ of pretrain(model, data, options));
    expect(weights(model)).not.toEqual(first);
    expect(weights(await loadModel(out, [line]))).toEqual(weights(model));
    expect(weights(await loadModel(join(out, "checkpoints", "0"), [line]))).toEqual(first);
    const description = await describeModel(out);
    expect(description).toMatchObject({
      method: "line",
      modality: "vector",
      classes: ["x"],
      run: { path: out },
    });
  });

  it("say what a path is not", async () => {
    await expect(describeModel(join(root, "nowhere"))).rejects.toThrow("there is no such folder");
    await expect(describeModel(root)).rejects.toThrow("has no config.json");
    const directory = join(root, "broken");
    await saveModel(createModel(line), directory);
    await expect(loadModel(directory, [])).rejects.toThrow("is of line");
    await writeFile(join(directory, "config.json"), '{"model_type": "vit_mae"}');
    await expect(loadModel(directory, [line])).rejects.toThrow(
      'bring other checkpoints in with "unmask import"',
    );
    await writeFile(join(directory, "config.json"), "{");
    await expect(loadModel(directory, [line])).rejects.toThrow("the file is damaged");
  });
});
