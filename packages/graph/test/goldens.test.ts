import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compareGolden, type GoldenAdapter, onEveryEngine, readGolden } from "@unmask/testing";
import { expect, it } from "vitest";
import * as graphMae from "./goldens/graph-mae.adapter.js";
import * as scgc from "./goldens/scgc.adapter.js";
import * as skeletonMae from "./goldens/skeleton-mae.adapter.js";

const adapters: GoldenAdapter[] = [graphMae, scgc, skeletonMae].flatMap((module) => Object.values(module));
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
