// Fine-tunes the encoder that pretrain-videos.ts left in runs/videos: classes are the sub-folders of ./videos, half of the
// videos are held out.
import { createRandom, finetune, type Model, startEngine, stratifiedSplit, subset } from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { createVideoClassifier, videoFolder, videoMae } from "@unmask/video";

await startEngine();
const videos = videoFolder("./videos", { frames: 8, size: 32, stride: 2 });
const { train, held } = stratifiedSplit(videos.labels!, 0.5, createRandom(1));
const pretrained = await loadModel("runs/videos", [videoMae]);
const classifier = createVideoClassifier(pretrained as Model, { classes: 2 }, createRandom(0));
const training = { epochs: 20, batchSize: 4, lr: 1e-3, evaluateEvery: 5 } as const;
for await (const event of finetune(classifier, subset(videos, train), subset(videos, held), training))
  if (event.type === "evaluation") console.log(event.epoch, event.scores.top1);
