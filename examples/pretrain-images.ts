// Pretrains a masked autoencoder on a folder of pictures and computes features with it.
import { createModel, pretrain, startEngine } from "@unmask/core";
import { imageFolder, mae } from "@unmask/image";

await startEngine(); // the fastest there is: CUDA, the native CPU engine, wasm
const photos = imageFolder("./photos", { size: 64 });
const model = createModel(mae, { preset: "tiny", imageSize: 64, patchSize: 8 }, { seed: 7 });

for await (const event of pretrain(model, photos, { epochs: 50, out: "runs/photos" }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const features = model.encode(await photos.take(16)); // [16, 192]
console.log(features.shape);
