/** The examples of pictures, on small pictures of two kinds. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createRandom } from "@unmask/core";
import { savePicture } from "@unmask/image";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printedLosses } from "./test/example-folder.js";

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
  const random = createRandom(1);
  for (const kind of ["bars", "noise"] as const)
    for (let i = 0; i < 12; i++) {
      const phase = random.int(8);
      const pixels = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) =>
        kind === "noise" ? random.int(256) : ((Math.floor(at / 3) + phase) & 8) * 31,
      );
      await savePicture(join(folder.path, "photos", kind, `${i}.png`), { pixels, height: 64, width: 64 });
    }
});
afterAll(() => folder.remove());

it("pretrain-images.ts trains, keeps a run and prints features; measure-images.ts measures it", async () => {
  const trained = await folder.run("pretrain-images.ts");
  const losses = printedLosses(trained);
  expect(losses).toHaveLength(50);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(trained.trim().split("\n").at(-1)).toBe("[ 16, 192 ]");
  expect(existsSync(join(folder.path, "runs", "photos", "latest"))).toBe(true);

  const measured = await folder.run("measure-images.ts");
  expect(measured).toMatch(/^trained: kNN [01]\.\d{3}, linear probe [01]\.\d{3}$/m);
  expect(measured).toMatch(/^untrained: kNN /m);
}, 300_000);
