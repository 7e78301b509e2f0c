/** The examples of videos, on bars that move to the right or down; one draws its clips. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeVideo } from "../packages/video/test/make-video.js";
import { type ExampleFolder, exampleFolder, printed, printedLosses } from "./test/example-folder.js";

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
  for (const way of ["right", "down"] as const) {
    await mkdir(join(folder.path, "videos", way), { recursive: true });
    for (let i = 0; i < 4; i++) {
      const level = (frame: number, y: number, x: number) =>
        ((way === "right" ? x : y) + 48 - 2 * frame + 8 * i) % 24 < 8 ? 230 : 20 + 20 * i;
      makeVideo(join(folder.path, "videos", way, `${i}.mp4`), { frames: 40, height: 48, width: 48, level });
    }
  }
});
afterAll(() => folder.remove());

it("pretrain-videos.ts trains, keeps a run and measures its features; finetune-videos.ts goes on", async () => {
  const output = await folder.run("pretrain-videos.ts");
  const losses = printedLosses(output).slice(0, 20);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(output).toMatch(/^32 clips, kNN (1|0\.\d+)$/m);
  expect(existsSync(join(folder.path, "runs", "videos", "latest"))).toBe(true);

  expect(printedLosses(await folder.run("finetune-videos.ts")).at(-1)).toBeGreaterThan(0.7);
}, 300_000);

it("cross-videos.ts trains clips and frames together", async () => {
  const output = await folder.run("cross-videos.ts");
  const losses = printedLosses(output);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(printed(output, "kNN among themselves ")).toBeGreaterThan(0.6);
}, 300_000);

it("text-guided-videos.ts finds captions of clips", async () => {
  const contrasts = [...(await folder.run("text-guided-videos.ts")).matchAll(/contrast: ([\d.]+)/g)];
  expect(Number(contrasts.at(-1)![1])).toBeLessThan(Number(contrasts[0]![1]) - 0.5);
}, 300_000);
