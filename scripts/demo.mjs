// npm run demo: from pictures to a measured masked autoencoder in a few minutes. Installs and builds first, then runs the
// commands that it prints, as a user would. Ctrl-C saves; the next npm run demo goes on from there.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { build, install, root, run, step } from "./workspace.mjs";

const RUN = "runs/demo";
const PICTURES = "runs/demo-pictures";
/** Epochs for a rate of matrix products in 10^9 operations a second, so that training takes three minutes or so. */
const epochsFor = (gflops) => Math.max(10, Math.min(100, Math.round(gflops)));

await install();
await build();
await step("writing pictures", async () => {
  const { writePictures } = await import("../examples/demo/pictures.mjs");
  if (!existsSync(join(root, PICTURES))) writePictures(join(root, PICTURES));
  return { code: 0 };
});

const { engine, matmul } = JSON.parse((await unmask(["doctor", "--json"], { quiet: true })).output);
for (const { name, reason } of engine.passedOver) console.log(`not ${name}: ${reason}`);
console.log(
  `engine ${engine.name} on ${engine.device}, ${matmul.gflops.toFixed(0)} GFLOP/s in matrix products`,
);

if (existsSync(join(root, RUN, "latest"))) await unmask(["resume", RUN]);
else {
  const config = ["--config", "examples/demo/pretrain.yaml", "--epochs", String(epochsFor(matmul.gflops))];
  await unmask(["pretrain", "image", `${PICTURES}/train`, ...config, "--out", RUN]);
}
const measuring = ["--test", `${PICTURES}/test`, "--pool", "cls+mean", "--baselines"];
await unmask(["knn", RUN, ...measuring]);
await unmask(["probe", RUN, ...measuring]);
await unmask(["reconstruct", RUN, `${PICTURES}/test`, "--out", `${RUN}/reconstructed`]);
await unmask(["report", RUN]);

console.log(`
Look at
  ${RUN}/report.html          curves, pictures and measurements on one page
  ${RUN}/pictures/            what it reconstructed as it learned
  ${RUN}/reconstructed/       pictures that it never saw
Go on with your own pictures:
  npx unmask pretrain image FOLDER`);

/** Runs the command, as `npx unmask` does where it is installed. */
async function unmask(args, options = {}) {
  if (!options.quiet) console.log(`\n$ npx unmask ${args.join(" ")}`);
  const result = await run(process.execPath, [join("packages", "cli", "dist", "index.js"), ...args], options);
  if (result.code === 0) return result;
  console.error(result.output);
  process.exit(result.code);
}
