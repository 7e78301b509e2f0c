/** Products in bfloat16: only where it is asked for, refused where the processor has none. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { addon } from "../src/addon.js";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What a process with these variables loads, or the message of its error. */
function loaded(variables: Record<string, string>): string {
  const script = `
    try { console.log(require("node-gyp-build")(process.cwd()).products) }
    catch (error) { console.log(error.message) }`;
  const env = { ...process.env, ...variables };
  return spawnSync(process.execPath, ["--eval", script], { cwd: root, encoding: "utf8", env }).stdout.trim();
}

const possible = loaded({ UNMASK_BF16: "1" }) === "bfloat16";

it("is off unless asked for", () => {
  expect(loaded({ UNMASK_BF16: "" })).toBe("float32");
  expect(loaded({ UNMASK_BF16: "0" })).toBe("float32");
  expect(addon().products).toBe("float32");
});

it("is refused on an instruction set without it", () => {
  const message = "UNMASK_BF16 asks for matrix products in bfloat16, which need AVX-512 BF16";
  if (!possible) expect(loaded({ UNMASK_BF16: "1" })).toContain(message);
  expect(loaded({ UNMASK_BF16: "1", UNMASK_ISA: "baseline" })).toContain(message);
});

it.runIf(possible)(
  "keeps to its rounding",
  () => {
    const suite = "packages/native/test/products.test.ts";
    const run = spawnSync("pnpm", ["exec", "vitest", "run", "--reporter=json", suite], {
      cwd: fileURLToPath(new URL("../../..", import.meta.url)),
      encoding: "utf8",
      env: { ...process.env, UNMASK_BF16: "1" },
    });
    expect(run.status, run.stdout.slice(-2000)).toBe(0);
    expect((JSON.parse(run.stdout) as { numPassedTests: number }).numPassedTests).toBeGreaterThan(4);
  },
  60_000,
);
