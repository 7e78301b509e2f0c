// Fine-tunes the run of pretrain-skeletons.ts as a classifier of actions, on every other sequence of the folder; the rest are
// held out.
import { createRandom, finetune, type Model, startEngine, subset } from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { createGraphClassifier, skeletonFolder, skeletonMae } from "@unmask/graph";

await startEngine();
const clips = skeletonFolder("./skeletons", { frames: 16, persons: 1, joints: 20 });
const half = (odd: number) =>
  subset(
    clips,
    [...Array(clips.length).keys()].filter((i) => i % 2 === odd),
  );

const model = await loadModel("runs/skeletons", [skeletonMae]);
const settings = { classes: clips.classes!.length, headWidth: 64, dropPath: 0.1 };
const classifier = createGraphClassifier(model as unknown as Model, settings, createRandom(1));
const training = { epochs: 30, batchSize: 8, lr: 2e-3, layerDecay: 0.8, evaluateEvery: 10 };
for await (const event of finetune(classifier, half(0), half(1), training))
  if (event.type === "evaluation")
    console.log(`epoch ${event.epoch}, held out: ${event.scores.top1.toFixed(3)}`);
