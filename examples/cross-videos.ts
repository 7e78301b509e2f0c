// Pretrains CrossVideoMAE on a folder of videos: clips and single frames of them, each reconstructed and drawn together.
import { createModel, extractFeatures, knn, pretrain, startEngine } from "@unmask/core";
import { clipStatistics, crossVideoMae, videoFolder } from "@unmask/video";

await startEngine();
const videos = videoFolder("./videos", { frames: 8, size: 32, stride: 2, clipsPerVideo: 4 });
const { mean, std } = await clipStatistics(videos);
const model = createModel(
  crossVideoMae,
  {
    ...{ frames: 8, imageSize: 32, patchSize: 4, mean, std },
    ...{ width: 48, depth: 2, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 2 },
    ...{ frameWidth: 48, frameDepth: 2, frameHeads: 4 },
    ...{ frameDecoderWidth: 32, frameDecoderDepth: 1, frameDecoderHeads: 2 },
  },
  { seed: 7 },
);
for await (const event of pretrain(model, videos, { epochs: 10, batchSize: 16, lr: 1e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss, event.terms);

const features = await extractFeatures(model, videos);
console.log(`kNN among themselves ${(await knn(features, features, { k: 3 })).top1}`);
