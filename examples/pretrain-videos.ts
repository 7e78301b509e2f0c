// Pretrains a masked autoencoder on a folder of videos, one sub-folder for each class, and measures its features.
import {
  createModel,
  createRandom,
  extractFeatures,
  knn,
  pretrain,
  startEngine,
  stratifiedSplit,
  subset,
} from "@unmask/core";
import { clipStatistics, videoFolder, videoMae } from "@unmask/video";

await startEngine();
const videos = videoFolder("./videos", { frames: 8, size: 32, stride: 2, clipsPerVideo: 4 });
const { mean, std } = await clipStatistics(videos);
const model = createModel(
  videoMae,
  {
    ...{ frames: 8, imageSize: 32, patchSize: 4, mean, std, maskRatio: 0.8 },
    ...{ width: 64, depth: 2, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 2 },
  },
  { seed: 7 },
);

for await (const event of pretrain(model, videos, {
  epochs: 20,
  batchSize: 16,
  lr: 1e-3,
  out: "runs/videos",
}))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const { train, held } = stratifiedSplit(videos.labels!, 0.5, createRandom(1));
const features = (rows: ArrayLike<number>) =>
  extractFeatures((samples) => model.encode(samples), subset(videos, rows));
const { top1 } = await knn(await features(train), await features(held), { k: 3 });
console.log(`${videos.length} clips, kNN ${top1}`);
