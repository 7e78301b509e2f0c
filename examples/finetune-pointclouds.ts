// Pretrains Point-CMAE and MAE3D on a folder of shapes, then fine-tunes both and the run of pretrain-pointclouds.ts as classifiers
// of its sub-folders, half of the shapes held out. A view of a cloud is a draw of points: several views vote.
import { createModel, createRandom, finetune, type Model, pretrain, startEngine, subset } from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { createPointClassifier, mae3d, pointCmae, pointFolder, pointMae, vote } from "@unmask/pointcloud";

await startEngine();
const shapes = pointFolder("./shapes", { points: 256 });
const half = (odd: number) =>
  subset(
    shapes,
    [...Array(shapes.length).keys()].filter((i) => i % 2 === odd),
  );

const groups = {
  points: 256,
  groups: 32,
  groupSize: 16,
  embedWidths: [16, 32, 64] as [number, number, number],
};
const sizes = { width: 48, depth: 2, heads: 3, decoderDepth: 1, decoderHeads: 3, projectionWidth: 16 };
const contrastive = createModel(pointCmae, { ...groups, ...sizes }, { seed: 7 });
const graph = { points: 256, neighbours: 8, edgeWidths: [16, 32], patches: 16, patchSize: 16 };
const small = {
  width: 64,
  depth: 2,
  decoderDepth: 1,
  heads: 2,
  headWidth: 16,
  hiddenWidth: 64,
  foldingWidth: 64,
};
const folding = createModel(mae3d, { ...graph, ...small }, { seed: 7 });
for (const model of [contrastive, folding] as Model[])
  for await (const event of pretrain(model, shapes, { epochs: 4, batchSize: 8, lr: 1e-3 }))
    if (event.type === "epoch") console.log(model.method.id, event.epoch, event.loss);

const run = await loadModel("runs/shapes", [pointMae]);
for (const model of [run, contrastive, folding] as Model[]) {
  const classifier = createPointClassifier(model, { classes: 2 }, createRandom(1));
  const training = { epochs: 80, batchSize: 8, lr: 5e-3, evaluateEvery: 80 };
  for await (const _ of finetune(classifier, half(0), half(1), training));
  const { top1 } = await vote(classifier, half(1), { views: 2 });
  console.log(`${model.method.id} as ${classifier.method.id}: ${top1}`);
}
