/** Each example is run as it stands, on small pictures of two kinds in a folder of its own. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRandom } from "@unmask/core";
import { savePicture } from "@unmask/image";
import { afterAll, beforeAll, expect, it } from "vitest";

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-examples-"));
  await symlink(
    fileURLToPath(new URL("node_modules", import.meta.url)),
    join(project, "node_modules"),
    "junction",
  );
  const random = createRandom(1);
  for (const kind of ["bars", "noise"] as const)
    for (let i = 0; i < 12; i++) {
      const phase = random.int(8);
      const pixels = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) =>
        kind === "noise" ? random.int(256) : ((Math.floor(at / 3) + phase) & 8) * 31,
      );
      await savePicture(join(project, "photos", kind, `${i}.png`), { pixels, height: 64, width: 64 });
    }
});
afterAll(() => rm(project, { recursive: true }));

/** What an example prints, run from the folder that holds the pictures. */
function runExample(name: string): Promise<string> {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const child = spawn(process.execPath, args, { cwd: project });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (errors += text));
  return new Promise((resolve, reject) => {
    child.on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(`${name}: ${errors}`))));
  });
}

it("pretrain-images.ts trains, keeps a run and prints features; measure-images.ts measures it", async () => {
  const lines = (await runExample("pretrain-images.ts")).trim().split("\n");
  const losses = lines.slice(0, -1).map((line) => Number(line.split(" ")[1]));
  expect(losses).toHaveLength(50);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
  expect(lines.at(-1)).toBe("[ 16, 192 ]");
  expect(existsSync(join(project, "runs", "photos", "latest"))).toBe(true);

  const measured = await runExample("measure-images.ts");
  expect(measured).toMatch(/^trained: kNN [01]\.\d{3}, linear probe [01]\.\d{3}$/m);
  expect(measured).toMatch(/^untrained: kNN /m);
}, 300_000);
