import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, it } from "vitest";
import { compareGolden, type GoldenAdapter, readGolden } from "../../testing/src/golden.js";
import * as contrastive from "./goldens/contrastive.adapter.js";
import * as imaginet from "./goldens/imaginet.adapter.js";
import * as tables from "./goldens/tables.adapter.js";

const adapters: GoldenAdapter[] = [contrastive, imaginet, tables].flatMap((module) => Object.values(module));
const root = fileURLToPath(new URL("./goldens/", import.meta.url));

beforeAll(() => tf.setBackend("cpu"));

it.each(["imaginet_selfcon", "pos_tables", "ssl_losses"])("%s: recorded reference numbers", async (name) => {
  const golden = await readGolden(root + name);
  const adapter = adapters.find((candidate) => candidate.accepts(golden));
  const rows = await compareGolden(golden, adapter!);
  expect(rows.length).toBeGreaterThan(5);
  expect(rows.filter((row) => !row.ok)).toEqual([]);
});
