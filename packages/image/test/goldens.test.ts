import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compareGolden, type GoldenAdapter, onEveryEngine, readGolden } from "@unmask/testing";
import { expect, it } from "vitest";
import * as bootMae from "./goldens/boot-mae.adapter.js";
import * as cmae from "./goldens/cmae.adapter.js";
import * as convMae from "./goldens/conv-mae.adapter.js";
import * as edgeMae from "./goldens/edge-mae.adapter.js";
import * as huggingFace from "./goldens/hugging-face.adapter.js";
import * as mae from "./goldens/mae.adapter.js";
import * as training from "./goldens/mae-train.adapter.js";
import * as saim from "./goldens/saim.adapter.js";
import * as spark from "./goldens/spark.adapter.js";

const adapters: GoldenAdapter[] = [
  mae,
  bootMae,
  cmae,
  saim,
  spark,
  convMae,
  edgeMae,
  huggingFace,
  training,
].flatMap((module) => Object.values(module));
const root = fileURLToPath(new URL("./goldens/", import.meta.url));
const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());

await onEveryEngine("recorded reference numbers", () => {
  it.each(folders.map(({ name }) => name))("%s", async (name) => {
    const golden = await readGolden(root + name);
    const adapter = adapters.find((candidate) => candidate.accepts(golden));
    const rows = await compareGolden(golden, adapter!);
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.filter((row) => !row.ok)).toEqual([]);
  });
});
