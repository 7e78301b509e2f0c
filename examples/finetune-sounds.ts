// Fine-tunes the encoder that pretrain-sounds.ts left in runs/sounds: classes are the sub-folders of ./sounds, half of the
// recordings are held out.
import { audioFolder, audioMae, createAudioClassifier } from "@unmask/audio";
import { createRandom, finetune, type Model, startEngine, stratifiedSplit, subset } from "@unmask/core";
import { loadModel } from "@unmask/core/node";

await startEngine();
const sounds = audioFolder("./sounds", { inputSize: [96, 64], sampleRate: 8000 });
const { train, held } = stratifiedSplit(sounds.labels!, 0.5, createRandom(1));
const pretrained = await loadModel("runs/sounds", [audioMae]);
const settings = { classes: sounds.classes!.length, loss: "ce" } as const; // one class each; bce for several tags
const classifier = createAudioClassifier(pretrained as Model, settings, createRandom(0));
const training = { epochs: 10, batchSize: 4, lr: 1e-3, evaluateEvery: 5 } as const;
for await (const event of finetune(classifier, subset(sounds, train), subset(sounds, held), training))
  if (event.type === "evaluation") console.log(event.epoch, event.scores.top1);
