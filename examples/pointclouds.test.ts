/** The examples of point clouds, on small meshes of two kinds. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printed, printedLosses } from "./test/example-folder.js";

/** Faces of a box from the origin to a corner. */
const FACES = ["1 3 4 2", "5 6 8 7", "1 2 6 5", "3 7 8 4", "1 5 7 3", "2 4 8 6"];

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
  const random = createRandom(1);
  for (const kind of ["flat", "long"]) {
    await mkdir(join(folder.path, "shapes", kind), { recursive: true });
    for (let i = 0; i < 8; i++) {
      const size = [1, 1, 1].map((side) => side + 0.3 * random.uniform());
      size[kind === "flat" ? 1 : 2]! *= kind === "flat" ? 0.1 : 5;
      const corners = Array.from({ length: 8 }, (_, c) =>
        size.map((side, axis) => ((c >> axis) & 1) * side).join(" "),
      );
      const text = [...corners.map((c) => `v ${c}`), ...FACES.map((f) => `f ${f}`)].join("\n");
      await writeFile(join(folder.path, "shapes", kind, `${i}.obj`), text);
    }
  }
});
afterAll(() => folder.remove());

it("pretrain-pointclouds.ts trains, draws, and tells boxes of two kinds apart; finetune-pointclouds.ts goes on", async () => {
  const output = await folder.run("pretrain-pointclouds.ts");
  const losses = printedLosses(output);
  expect(losses).toHaveLength(20);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.5);
  for (const extension of ["png", "html"])
    expect(existsSync(join(folder.path, `shapes.${extension}`))).toBe(true);
  expect(printed(output, "kNN ")).toBeGreaterThan(0.7);

  const finetuned = await folder.run("finetune-pointclouds.ts");
  for (const which of [
    "point-mae as point-transformer: ",
    "point-cmae as point-transformer: ",
    "mae-3d as dgcnn-classifier: ",
  ])
    expect(printed(finetuned, which), which).toBeGreaterThan(0.7);
}, 300_000);

it("parts-of-shapes.ts tells legs from tops", async () => {
  expect(printed(await folder.run("parts-of-shapes.ts"), "union ")).toBeGreaterThan(0.7);
}, 300_000);
