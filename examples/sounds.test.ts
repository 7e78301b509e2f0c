/** The examples of sounds, on tones and noises. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeWav } from "@unmask/audio";
import { createRandom } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printedLosses } from "./test/example-folder.js";

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
  const random = createRandom(1);
  for (const kind of ["tones", "noises"] as const) {
    await mkdir(join(folder.path, "sounds", kind), { recursive: true });
    for (let i = 0; i < 8; i++) {
      const pitch = 200 + random.int(1500);
      const values = Float32Array.from({ length: 8000 }, (_, at) =>
        kind === "noises" ? 0.1 * random.normal() : 0.3 * Math.sin((2 * Math.PI * pitch * at) / 8000),
      );
      const wav = encodeWav({ channels: [values], sampleRate: 8000 });
      await writeFile(join(folder.path, "sounds", kind, `${i}.wav`), wav);
    }
  }
});
afterAll(() => folder.remove());

it("pretrain-sounds.ts trains, keeps a run and measures its features; finetune-sounds.ts goes on", async () => {
  const output = await folder.run("pretrain-sounds.ts");
  const losses = printedLosses(output);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(output).toMatch(/^16 recordings, 768 features each$/m);
  expect(output).toMatch(/^kNN among themselves (1|0\.\d+)$/m);
  expect(existsSync(join(folder.path, "runs", "sounds", "latest"))).toBe(true);

  expect(printedLosses(await folder.run("finetune-sounds.ts")).at(-1)).toBeGreaterThan(0.7);
}, 300_000);
