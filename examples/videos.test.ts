/** The example of videos is run as it stands, on bars that move to the right or down, in a folder of its own. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeVideo } from "../packages/video/test/make-video.js";

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-videos-"));
  const modules = fileURLToPath(new URL("node_modules", import.meta.url));
  await symlink(modules, join(project, "node_modules"), "junction");
  for (const way of ["right", "down"] as const) {
    await mkdir(join(project, "videos", way), { recursive: true });
    for (let i = 0; i < 4; i++) {
      const level = (frame: number, y: number, x: number) =>
        ((way === "right" ? x : y) + 48 - 2 * frame + 8 * i) % 24 < 8 ? 230 : 20 + 20 * i;
      makeVideo(join(project, "videos", way, `${i}.mp4`), { frames: 40, height: 48, width: 48, level });
    }
  }
});
afterAll(() => rm(project, { recursive: true }));

it("pretrain-videos.ts trains, keeps a run and measures its features", async () => {
  const script = fileURLToPath(new URL("pretrain-videos.ts", import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const child = spawn(process.execPath, args, { cwd: project });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (errors += text));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code, errors).toBe(0);
  const lines = output.trim().split("\n");
  const losses = lines.slice(0, 20).map((line) => Number(line.split(" ")[1]));
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(lines[20]).toMatch(/^32 clips, kNN (1|0\.\d+)$/);
  expect(existsSync(join(project, "runs", "videos", "latest"))).toBe(true);
}, 300_000);
