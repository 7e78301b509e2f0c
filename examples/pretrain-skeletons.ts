// Pretrains SkeletonMAE on a folder of skeleton sequences, draws what it reconstructs as stick figures, and compares its features.
import { writeFile } from "node:fs/promises";
import {
  createModel,
  createRandom,
  disposeAll,
  extractFeatures,
  logisticRegression,
  pretrain,
  startEngine,
  subset,
} from "@unmask/core";
import { skeletonFolder, skeletonMae, skeletonStrip } from "@unmask/graph";

await startEngine();
const form = { frames: 16, persons: 1, joints: 20 };
const clips = skeletonFolder("./skeletons", form); // classes by file name: a02_s01_e01.txt is action 2
const sizes = { width: 32, depth: 2, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 4 };
const model = createModel(skeletonMae, { ...form, ...sizes }, { seed: 7 });

for await (const event of pretrain(model, clips, {
  epochs: 40,
  batchSize: 8,
  lr: 2e-3,
  out: "runs/skeletons",
}))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const shown = model.reconstruct(await clips.take(1), createRandom(1));
await writeFile("skeletons.svg", await skeletonStrip(shown, 0)); // original, masked, reconstructed
disposeAll(shown);

const half = (odd: number) => [...Array(clips.length).keys()].filter((i) => i % 2 === odd);
const [train, test] = [
  await extractFeatures(model, subset(clips, half(0))),
  await extractFeatures(model, subset(clips, half(1))),
];
console.log(`logistic regression ${(await logisticRegression(train, test)).top1.toFixed(3)}`);
