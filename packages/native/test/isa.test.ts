/** The instruction sets below the widest one run the same tests, each in a process of its own. */
import { spawnSync } from "node:child_process";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { describe as about } from "../src/index.js";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const suites = ["ops", "kernels", "products", "batch-norm", "images", "select", "points", "optimizer"].map(
  (name) => `packages/native/test/${name}.test.ts`,
);
const lower = { avx512: ["avx2", "baseline"], avx2: ["baseline"] }[about().isa] ?? [];

it.each(process.env.UNMASK_ISA === undefined ? lower : [])(
  "%s",
  (isa) => {
    const run = spawnSync("pnpm", ["exec", "vitest", "run", "--reporter=json", ...suites], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, UNMASK_ISA: isa },
    });
    expect(run.status, run.stdout.slice(-2000)).toBe(0);
    expect((JSON.parse(run.stdout) as { numPassedTests: number }).numPassedTests).toBeGreaterThan(60);
  },
  300_000,
); // 15 s each on two idle cores

it("an instruction set that the machine lacks is refused by name", () => {
  const script = "require('node-gyp-build')(process.argv[1])";
  const run = spawnSync(process.execPath, ["-e", script, resolve(root, "packages/native")], {
    cwd: resolve(root, "packages/native"),
    encoding: "utf8",
    env: { ...process.env, UNMASK_ISA: "avx9000" },
  });
  expect(run.status).not.toBe(0);
  expect(run.stderr).toContain("UNMASK_ISA names an instruction set that this machine does not have");
});
