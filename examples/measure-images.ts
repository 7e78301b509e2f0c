// Measures what a pretrained encoder learned: kNN and a linear probe on its features, beside an encoder with random
// weights. ./photos has a sub-folder for each class.
import {
  createModel,
  createRandom,
  extractFeatures,
  knn,
  logisticRegression,
  startEngine,
  subset,
} from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { imageFolder, mae } from "@unmask/image";

await startEngine();
const photos = imageFolder("./photos", { size: 64 });
const order = createRandom(0).permutation(photos.length);
const held = Math.round(photos.length / 4);
const [test, train] = [subset(photos, order.slice(0, held)), subset(photos, order.slice(held))];

const trained = await loadModel("runs/photos", [mae]);
const untrained = createModel(mae, trained.config, { seed: 1 });
for (const [name, model] of Object.entries({ trained, untrained })) {
  const features = await extractFeatures(model, train, { pool: "cls+mean" });
  const unseen = await extractFeatures(model, test, { pool: "cls+mean" });
  const [near, probe] = [await knn(features, unseen), await logisticRegression(features, unseen)];
  console.log(`${name}: kNN ${near.top1.toFixed(3)}, linear probe ${probe.top1.toFixed(3)}`);
}
