// Runs tfjs-core's own published tests on a backend: node packages/native/test/tfjs-suite/run.mjs [native | cpu]
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import Jasmine from "jasmine";

const backend = process.argv[2] ?? "native";
const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "..", "..");
const bundle = join(root, "build", "tfjs-suite.mjs"); // beside the addon, where the package's own paths hold

const inTfjs = createRequire(createRequire(import.meta.url).resolve("@tensorflow/tfjs"));
const core = dirname(inTfjs.resolve("@tensorflow/tfjs-core/package.json"));

await build({
  stdin: {
    contents: `
      import { setTestEnvs } from "${core}/dist/jasmine_util.js";
      import "@tensorflow/tfjs";
      import { register } from "${root}/src/index.ts";
      register();
      setTestEnvs([{ name: "${backend}", backendName: "${backend}", isDataSync: true }]);
      export const load = () => import("${core}/dist/tests.js");`,
    resolveDir: root,
  },
  bundle: true,
  outfile: bundle,
  platform: "node",
  format: "esm",
  mainFields: ["module", "main"], // one copy of tfjs-core, the one whose tests these are
  conditions: ["@unmask/source"],
  alias: { "jasmine-core/lib/jasmine-core/jasmine.js": join(here, "jasmine-stub.cjs") },
  banner: {
    js: `import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);`,
  },
  ignoreAnnotations: true, // tfjs-core says that its test files have no side effects
  logLevel: "error",
});

const runner = new Jasmine();
runner.exitOnCompletion = false;
// tfjs names some suites twice, and leaves 5 tests out itself
runner.env.configure({ random: false, forbidDuplicateNames: false });
runner.clearReporters();
const failed = [];
let [passed, left] = [0, 0];
runner.addReporter({
  specDone({ status, fullName, failedExpectations }) {
    if (status === "passed") passed++;
    else if (status === "failed")
      failed.push(`${fullName}\n    ${failedExpectations[0]?.message?.split("\n")[0]}`);
    else left++;
  },
});
const { load } = await import(pathToFileURL(bundle).href);
await load();
await runner.execute();
for (const line of failed) console.log(line);
console.log(`${backend}: ${passed} passed, ${failed.length} failed, ${left} left out`);
process.exitCode = failed.length === 0 ? 0 : 1;
