/** The example as it stands. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-examples-"));
  const modules = fileURLToPath(new URL("node_modules", import.meta.url));
  await symlink(modules, join(project, "node_modules"), "junction");
});
afterAll(() => rm(project, { recursive: true }));

it("pretrain-graph.ts trains, tells the clubs apart, and gives every node its features", async () => {
  const script = fileURLToPath(new URL("pretrain-graph.ts", import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: project });
  const losses = [...stdout.matchAll(/^\d+ ([\d.e-]+)$/gm)].map(([, loss]) => Number(loss));
  expect(losses).toHaveLength(60);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.8);
  expect(stdout).toMatch(/^32$/m);
  expect(Number(/kNN ([\d.]+)/.exec(stdout)![1])).toBeGreaterThan(0.6);
}, 300_000);
