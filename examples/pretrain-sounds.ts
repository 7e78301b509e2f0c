// Pretrains a masked autoencoder on a folder of recordings (wav, flac, mp3, ogg, videos) and computes features with it;
// ./sounds has a sub-folder for each class, which training does not look at.
import { audioFolder, audioMae, energyStatistics } from "@unmask/audio";
import { createModel, extractFeatures, knn, pretrain, startEngine } from "@unmask/core";

await startEngine();
const form = { inputSize: [96, 64] as [number, number], sampleRate: 8000 }; // about a second
const sounds = audioFolder("./sounds", form);
const { mean, std } = await energyStatistics(sounds);
const model = createModel(
  audioMae,
  { preset: "tiny", depth: 4, patchSize: 16, ...form, mean, std },
  { seed: 7 },
);

for await (const event of pretrain(model, sounds, { epochs: 30, out: "runs/sounds" }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const features = await extractFeatures(model, sounds);
console.log(`${features.names.length} recordings, ${features.width} features each`);
console.log("kNN among themselves", (await knn(features, features, { k: 5 })).top1);
