// npm test: everything that has to hold before a change is merged. Installs and builds first, so that a fresh clone needs
// nothing but Node 20 and npm. Ends with one line that counts tests and checks.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, install, pnpm, root, run } from "./workspace.mjs";

await install();
await build();

const failures = [];
const counts = await runTests();
await check("format and lint", () => pnpm(["exec", "biome", "ci", "."], { quiet: true }));
await check("types", () => pnpm(["types"], { quiet: true }));
await check("unused code", () => pnpm(["exec", "knip"], { quiet: true }));
await check("package shape", () =>
  pnpm(["exec", "turbo", "run", "check", "--output-logs=errors-only"], { quiet: true }),
);
for (const [title, script] of [
  ["install in an empty project", "install-test.mjs"],
  ["install of sound and video alone", "install-multimodal-test.mjs"],
])
  await check(title, () => run(process.execPath, [join(root, "scripts", script)], { quiet: true }));

for (const { title, output } of failures) console.log(`\n${title} failed:\n${output}`);
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);

/** vitest's own counts; a run that ends without any counts as a failure. */
async function runTests() {
  const directory = mkdtempSync(join(tmpdir(), "unmask-test-"));
  const file = join(directory, "results.json");
  try {
    const { code } = await pnpm([
      "exec",
      "vitest",
      "run",
      "--reporter=dot",
      "--reporter=json",
      `--outputFile.json=${file}`,
    ]);
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      readFileSync(file, "utf8"),
    );
    // A file that cannot be loaded fails without a failing test in it.
    const failed = code === 0 ? numFailedTests : Math.max(1, numFailedTests);
    return { passed: numPassedTests, failed, skipped: numPendingTests + numTodoTests };
  } catch (error) {
    failures.push({ title: "tests", output: error.message });
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function check(title, work) {
  const start = Date.now();
  const { code, output } = await work();
  const ok = code === 0;
  console.log(`${ok ? "ok  " : "FAIL"} ${title}, ${((Date.now() - start) / 1000).toFixed(0)} s`);
  counts[ok ? "passed" : "failed"]++;
  if (!ok) failures.push({ title, output });
}
