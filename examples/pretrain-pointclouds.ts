// Pretrains Point-MAE on a folder of meshes or point clouds, draws what it reconstructs, and compares its features.
import {
  createModel,
  createRandom,
  disposeAll,
  extractFeatures,
  knn,
  pretrain,
  startEngine,
  subset,
} from "@unmask/core";
import { pointFolder, pointMae, writePointPictures } from "@unmask/pointcloud";

await startEngine();
const shapes = pointFolder("./shapes", { points: 256 }); // sub-folders are classes
const sizes = { points: 256, groups: 32, groupSize: 16, width: 48, depth: 2, heads: 3, decoderHeads: 3 };
const model = createModel(pointMae, { preset: "tiny", ...sizes, embedWidths: [16, 32, 64] }, { seed: 7 });

for await (const event of pretrain(model, shapes, { epochs: 20, batchSize: 8, lr: 1e-3, out: "runs/shapes" }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const shown = model.reconstruct(await shapes.take(4), createRandom(1));
console.log(await writePointPictures(shown, "shapes")); // a png, and a page to turn them in
disposeAll(shown);

const half = (odd: number) => [...Array(shapes.length).keys()].filter((i) => i % 2 === odd);
const [train, test] = [
  await extractFeatures(model, subset(shapes, half(0))),
  await extractFeatures(model, subset(shapes, half(1))),
];
console.log(`kNN ${(await knn(train, test, { k: 3 })).top1.toFixed(3)}`);
