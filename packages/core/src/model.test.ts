import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toy } from "../test/toy.js";
import { createModel } from "./model.js";
import { readParameters } from "./parameters.js";
import { flatten } from "./tree.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "unmask-model-"));
});
afterAll(() => rm(folder, { recursive: true }));

const values = (model: { readonly params: object }) =>
  [...flatten(model.params).values()].map((variable) => [...variable.dataSync()]);

it("saves a model as a folder and loads it into another", async () => {
  const [model, other] = [createModel(toy, {}, { seed: 1 }), createModel(toy, {}, { seed: 2 })];
  const path = join(folder, "model");
  await model.save(path);
  expect((await readdir(path)).sort()).toEqual(["config.json", "model.safetensors"]);
  expect(values(other)).not.toEqual(values(model));
  await other.load(path);
  expect(values(other)).toEqual(values(model));
  await model.save(path); // again, over what is there
  expect((await readParameters(model.params)).size).toBe(values(model).length);
});

it("leaves a folder that holds something else alone", async () => {
  await writeFile(join(folder, "thesis.txt"), "years of work");
  await expect(createModel(toy).save(folder)).rejects.toThrow("holds other files than a model's");
  expect(await readdir(folder)).toContain("thesis.txt");
});

it("says what is wrong with a path that holds no model", async () => {
  await expect(createModel(toy).load(join(folder, "nowhere"))).rejects.toThrow("there is no such folder");
});
