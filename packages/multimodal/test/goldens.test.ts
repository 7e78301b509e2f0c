import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compareGolden, type GoldenAdapter, onEveryEngine, readGolden } from "@unmask/testing";
import { expect, it } from "vitest";
import * as avMae from "./goldens/av-mae.adapter.js";
import * as croma from "./goldens/croma.adapter.js";
import * as hicmae from "./goldens/hicmae.adapter.js";
import * as mindEye from "./goldens/mind-eye.adapter.js";
import * as multiMae from "./goldens/multi-mae.adapter.js";
import * as simvtp from "./goldens/simvtp.adapter.js";

const adapters: GoldenAdapter[] = [avMae, croma, hicmae, mindEye, multiMae, simvtp].flatMap((module) =>
  Object.values(module),
);
const root = fileURLToPath(new URL("./goldens/", import.meta.url));
const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());

await onEveryEngine("recorded reference numbers", () => {
  it.each(folders.map(({ name }) => name))("%s", async (name) => {
    const golden = await readGolden(root + name);
    const adapter = adapters.find((candidate) => candidate.accepts(golden));
    const rows = await compareGolden(golden, adapter!);
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.filter((row) => !row.ok)).toEqual([]);
  });
});
