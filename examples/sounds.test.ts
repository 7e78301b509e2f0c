/** The example of sounds is run as it stands, on tones and noises in a folder of its own. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeWav } from "@unmask/audio";
import { createRandom } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-sounds-"));
  const modules = fileURLToPath(new URL("node_modules", import.meta.url));
  await symlink(modules, join(project, "node_modules"), "junction");
  const random = createRandom(1);
  for (const kind of ["tones", "noises"] as const) {
    await mkdir(join(project, "sounds", kind), { recursive: true });
    for (let i = 0; i < 8; i++) {
      const pitch = 200 + random.int(1500);
      const values = Float32Array.from({ length: 8000 }, (_, at) =>
        kind === "noises" ? 0.1 * random.normal() : 0.3 * Math.sin((2 * Math.PI * pitch * at) / 8000),
      );
      const wav = encodeWav({ channels: [values], sampleRate: 8000 });
      await writeFile(join(project, "sounds", kind, `${i}.wav`), wav);
    }
  }
});
afterAll(() => rm(project, { recursive: true }));

it("pretrain-sounds.ts trains, keeps a run and measures its features", async () => {
  const script = fileURLToPath(new URL("pretrain-sounds.ts", import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const child = spawn(process.execPath, args, { cwd: project });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (errors += text));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code, errors).toBe(0);
  const lines = output.trim().split("\n");
  const losses = lines.slice(0, 30).map((line) => Number(line.split(" ")[1]));
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(lines[30]).toBe("16 recordings, 768 features each");
  expect(lines[31]).toMatch(/^kNN among themselves (1|0\.\d+)$/);
  expect(existsSync(join(project, "runs", "sounds", "latest"))).toBe(true);
}, 300_000);
