// npm run demo: from pictures to a measured masked autoencoder in a few minutes. Installs and builds first, then runs the
// commands that it prints, as a user would. Ctrl-C saves; the next npm run demo goes on from there.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build, install, root, run, step } from "./workspace.mjs";

const RUN = "runs/demo";
const DIGITS = "runs/demo-digits";
/** Few, for that is what pretraining is for: with thousands of labels the pixels themselves catch up under kNN. */
const LABELLED = 300;
const TEST = 2000;
const PRETRAIN = ["pretrain", "image", `${DIGITS}/all`, "--config", "examples/demo/pretrain.yaml"];
const TRAINING_SECONDS = 110;

await install();
await build();
await step(`writing 60,000 digits, ${LABELLED} of them with labels`, async () => {
  const { writeDigits } = await import("../examples/demo/digits.mjs");
  writeDigits(join(root, DIGITS), { labelled: LABELLED, test: TEST });
  return { code: 0, output: "" };
});

await unmask(["doctor"]);
if (existsSync(join(root, RUN, "latest"))) await unmask(["resume", RUN]);
else await unmask([...PRETRAIN, "--epochs", await affordableEpochs(), "--out", RUN]);

const labelled = ["--train", `${DIGITS}/labelled`, "--test", `${DIGITS}/test`, "--baselines"];
await unmask(["knn", RUN, ...labelled]);
await unmask(["probe", RUN, ...labelled]);
await unmask(["reconstruct", RUN, `${DIGITS}/test`, "--out", `${RUN}/reconstructed`]);
await unmask(["report", RUN]);

console.log(`
The two tables above: how many of ${TEST} test digits are told apart with the labels of ${LABELLED}, by the features of the
pretrained encoder, by those of an encoder with random weights, and by the pixels themselves.

Look at
  ${RUN}/report.html      curves, pictures and measurements on one page
  ${RUN}/pictures/        what it reconstructed as it learned
  ${RUN}/reconstructed/   digits that it never saw

Delete ${RUN} to begin again. Go on with pictures of your own:
  node packages/cli/dist/index.js pretrain image FOLDER`);

/** As much of the job as takes TRAINING_SECONDS at the speed of this machine's engine, by a few updates on a trial run. */
async function affordableEpochs() {
  const trial = join(root, "runs", "demo-trial");
  const forget = () => rmSync(trial, { recursive: true, force: true });
  forget();
  const { output } = await unmask([...PRETRAIN, "--epochs", "0.015", "--out", trial, "--json"], {
    quiet: true,
  });
  forget();
  const rates = output
    .split("\n")
    .filter((line) => line.startsWith('{"type":"step"'))
    .map((line) => JSON.parse(line).samplesPerSecond);
  const rate = rates
    .slice(Math.floor(rates.length / 2))
    .sort((a, b) => a - b)
    .at(-3);
  const epochs = Math.min(5, Math.max(0.2, (rate * TRAINING_SECONDS) / 60_000));
  console.log(`${Math.round(rate)} images/s: ${epochs.toFixed(1)} epochs`);
  return epochs.toFixed(1);
}

/** Runs the command, as `npx unmask` does where it is installed. */
async function unmask(args, options = {}) {
  if (!options.quiet) console.log(`\n$ npx unmask ${args.join(" ")}`);
  const result = await run(process.execPath, [join("packages", "cli", "dist", "index.js"), ...args], options);
  if (result.code === 0) return result;
  console.error(result.output);
  process.exit(result.code);
}
