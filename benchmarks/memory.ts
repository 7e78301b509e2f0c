/**
 * pnpm bench memory [--steps 2000] [--engine NAME]
 *
 * Trains a small MAE and prints, as it goes, how many tensors live and how much memory the process holds once V8 has
 * collected what is dead: both are flat after the first steps. Exits 1 when the tensor count is not.
 */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, pretrain, startEngine } from "@unmask/core";
import { arrayImages, mae } from "@unmask/image";

const { values: args } = parseArgs({
  options: { steps: { type: "string", default: "2000" }, engine: { type: "string", default: "auto" } },
});
const steps = Number(args.steps);
const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}, ${steps} steps`);

const batchSize = 32;
const images = arrayImages(createRandom(1).uniforms(batchSize * 50 * 16 * 16 * 3), {
  height: 16,
  width: 16,
  channels: 3,
});
const model = createModel(mae, {
  imageSize: 16,
  patchSize: 4,
  width: 32,
  depth: 2,
  heads: 2,
  decoderWidth: 16,
  decoderDepth: 1,
  decoderHeads: 2,
});
setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");
const counts = new Set<number>();
for await (const event of pretrain(model, images, { epochs: steps / 50, batchSize }))
  if (event.type === "step") {
    if (event.step > 2) counts.add(tf.memory().numTensors);
    if (event.step % Math.ceil(steps / 10) === 0) {
      collect();
      console.log(
        `step ${String(event.step).padStart(6)}  tensors ${tf.memory().numTensors}  resident ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB`,
      );
    }
  }
console.log(
  counts.size === 1 ? "the tensor count is flat" : `tensor counts differ: ${[...counts].join(", ")}`,
);
process.exit(counts.size === 1 ? 0 : 1);
