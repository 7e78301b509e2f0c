/** The example as it stands, on small meshes of two kinds in a folder of its own. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createRandom } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";

/** Faces of a box from the origin to a corner. */
const FACES = ["1 3 4 2", "5 6 8 7", "1 2 6 5", "3 7 8 4", "1 5 7 3", "2 4 8 6"];

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-examples-"));
  const modules = fileURLToPath(new URL("node_modules", import.meta.url));
  await symlink(modules, join(project, "node_modules"), "junction");
  const random = createRandom(1);
  for (const kind of ["flat", "long"]) {
    await mkdir(join(project, "shapes", kind), { recursive: true });
    for (let i = 0; i < 8; i++) {
      const size = [1, 1, 1].map((side) => side + 0.3 * random.uniform());
      size[kind === "flat" ? 1 : 2]! *= kind === "flat" ? 0.1 : 5;
      const corners = Array.from({ length: 8 }, (_, c) =>
        size.map((side, axis) => ((c >> axis) & 1) * side).join(" "),
      );
      const text = [...corners.map((c) => `v ${c}`), ...FACES.map((f) => `f ${f}`)].join("\n");
      await writeFile(join(project, "shapes", kind, `${i}.obj`), text);
    }
  }
});
afterAll(() => rm(project, { recursive: true }));

it("pretrain-pointclouds.ts trains, draws, and tells boxes of two kinds apart", async () => {
  const script = fileURLToPath(new URL("pretrain-pointclouds.ts", import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: project });
  const losses = [...stdout.matchAll(/^\d+ ([\d.e-]+)$/gm)].map(([, loss]) => Number(loss));
  expect(losses).toHaveLength(20);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.5);
  for (const extension of ["png", "html"])
    expect(existsSync(join(project, `shapes.${extension}`))).toBe(true);
  expect(Number(/kNN ([\d.]+)/.exec(stdout)![1])).toBeGreaterThan(0.7);
}, 300_000);
