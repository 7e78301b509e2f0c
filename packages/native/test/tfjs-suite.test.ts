/** tfjs-core's own tests, more than 4,000, on this backend. None is excluded. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("tfjs-core's published test suite passes", () => {
  const script = fileURLToPath(new URL("./tfjs-suite/run.mjs", import.meta.url));
  const run = spawnSync(process.execPath, [script, "native"], { encoding: "utf8" });
  const [, passed, failed] = /native: (\d+) passed, (\d+) failed/.exec(run.stdout) ?? [];
  expect(failed, run.stdout.slice(-3000) + run.stderr.slice(-1000)).toBe("0");
  expect(Number(passed)).toBeGreaterThan(4000);
}, 300_000); // 13 s on two idle cores
