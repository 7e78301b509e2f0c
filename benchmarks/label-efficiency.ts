/**
 * pnpm bench label-efficiency [--steps 200] [--tune 100] [--shares 1,0.1,0.03] [--seeds 0,1,2]
 *   [--methods spark,moco,byol,swav] [--width 8] [--engine NAME] [--out DIR]
 *
 * How many labels pretraining saves: one small ResNet is pretrained by SparK and by contrastive methods on slices through
 * the head (see workers/mr-slices.ts) without labels, then fine-tuned on ever smaller shares of them with labels, beside the
 * same network from scratch, and measured on another person's. Every share gets the same number of updates. Prints a
 * table and draws DIR/accuracy.svg; what is measured stands in DIR and is not repeated.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createModel,
  createRandom,
  type Dataset,
  finetune,
  formatSpread,
  lineChart,
  type Model,
  pretrain,
  spread,
  startEngine,
  stratifiedSplit,
  subset,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { createImageClassifier, type ImageMethod, type ImageSample, modality } from "@unmask/image";
import { mrSlices } from "./workers/mr-slices.js";

const { values: args } = parseArgs({
  options: {
    steps: { type: "string", default: "200" },
    tune: { type: "string", default: "100" },
    shares: { type: "string", default: "1,0.1,0.03" },
    seeds: { type: "string", default: "0,1,2" },
    methods: { type: "string", default: "spark,moco,byol,swav" },
    width: { type: "string", default: "8" },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/label-efficiency" },
  },
});
const root = process.env.UNMASK_DATA;
if (root === undefined) throw new Error("set UNMASK_DATA to the folder that holds images/");
const data = join(root, "images", "mri_spm_t1t2pd");
const numbers = (text: string) => text.split(",").map(Number);
const [shares, seeds] = [numbers(args.shares), numbers(args.seeds)];
const [steps, tune, width] = [args.steps, args.tune, args.width].map(Number) as [number, number, number];

const BATCH = 64;
const SCRATCH = "from scratch";
const input = { imageSize: 32, channels: 1, mean: [0.22], std: [0.25] };

/** One network, in the keys of each method: ResNet-18 with a stem for small pictures. */
const resnet18 = { network: "resnet", bottleneck: false, blocks: [2, 2, 2, 2], stem: "small", width };
const contrastive = {
  ...{ backbone: "resnet18", stem: "small", stemWidth: width },
  ...{ cropScale: [0.3, 1], blur: 0, jitter: 0.5, gray: 0 },
};
const configs: Readonly<Record<string, object>> = {
  spark: { ...resnet18, decoderWidth: 32 },
  moco: { ...contrastive, queueLength: 1024, momentum: 0.99, projectionWidth: 64 },
  byol: { ...contrastive, momentum: 0.99, projectionWidth: 64, hiddenWidth: 256 },
  swav: {
    ...contrastive,
    projectionWidth: 64,
    hiddenWidth: 256,
    prototypes: 64,
    smallCrops: 2,
    smallSize: 16,
    smallCropScale: [0.1, 0.3],
  },
};

await startEngine(args.engine as Parameters<typeof startEngine>[0]);
const folder = join(args.out, `${width}-${steps}-${tune}`);
await mkdir(folder, { recursive: true });

const methods = [SCRATCH, ...args.methods.split(",")];
const measured = new Map<string, number[]>();
for (const seed of seeds) for (const name of methods) await measureAll(name, seed);
await report();

/** Methods that make no views of their own see random crops and their mirror images. */
function open(method: ImageMethod, config: object, split: "train" | "test"): Dataset<ImageSample> {
  const trainingView = method.trainingView?.(config);
  const view = trainingView
    ? { trainingView }
    : ({ augment: "crop-flip", crop: { scale: [0.5, 1] } } as const);
  return mrSlices(data, split, { size: input.imageSize, ...view });
}

function key(name: string, share: number): string {
  return `${name} ${share}`;
}

/** Every share of one method and seed, from one pretraining. */
async function measureAll(name: string, seed: number): Promise<void> {
  const file = join(folder, `${name.replaceAll(" ", "-")}-${seed}-${shares.join("-")}.json`);
  const found = existsSync(file);
  const accuracies = found
    ? (JSON.parse(await readFile(file, "utf8")) as number[])
    : await tuned(await pretrained(name, seed), seed);
  if (!found) await writeFileAtomic(file, JSON.stringify(accuracies));
  shares.forEach((share, i) => {
    measured.set(key(name, share), [...(measured.get(key(name, share)) ?? []), accuracies[i]!]);
  });
  console.log(`seed ${seed}  ${name.padEnd(12)}  ${accuracies.map((a) => (100 * a).toFixed(1)).join("  ")}`);
}

async function pretrained(name: string, seed: number): Promise<Model<object, ImageSample>> {
  const id = name === SCRATCH ? "conv-net" : name;
  const method = modality.methods.find((each) => each.id === id);
  const own = name === SCRATCH ? { ...resnet18, classes: 2 } : configs[name];
  if (method === undefined || own === undefined)
    throw new Error(`--methods ${name}: use some of ${Object.keys(configs).join(", ")}`);
  const config = method.schema.parse({ ...input, ...own }) as object;
  const model = createModel(method, config, { seed }) as Model<object, ImageSample>;
  if (name === SCRATCH) return model;
  const train = open(method, config, "train");
  const epochs = steps / Math.floor(train.length / BATCH);
  for await (const event of pretrain(model, train, { epochs, batchSize: BATCH, lr: 1e-3, seed }))
    if (event.type === "end")
      console.log(`seed ${seed}  ${name}: ${event.seconds.toFixed(0)} s of pretraining`);
  return model;
}

/** Accuracy on the test set after fine-tuning on each share. */
async function tuned(model: Model<object, ImageSample>, seed: number): Promise<number[]> {
  const accuracies: number[] = [];
  for (const share of shares) {
    const random = createRandom(seed).child("classifier", share);
    const classes = open(model.method, model.config, "test").classes!.length;
    const classifier = createImageClassifier(model, { classes }, random) as Model<object, ImageSample>;
    const [train, test] = (["train", "test"] as const).map((split) =>
      open(classifier.method, classifier.config, split),
    ) as [Dataset<ImageSample>, Dataset<ImageSample>];
    const labelled =
      share === 1
        ? train
        : subset(train, stratifiedSplit(train.labels!, share, createRandom(seed).child("share", share)).held);
    const batchSize = Math.min(BATCH, labelled.length);
    const epochs = tune / Math.max(1, Math.floor(labelled.length / batchSize));
    const options = {
      epochs,
      batchSize,
      lr: 2e-3,
      warmupEpochs: epochs / 10,
      evaluateEvery: Math.ceil(epochs),
      seed,
    };
    let accuracy = 0;
    for await (const event of finetune(classifier, labelled, test, options))
      if (event.type === "evaluation") accuracy = event.scores.top1;
    accuracies.push(accuracy);
    classifier.dispose();
  }
  model.dispose();
  return accuracies;
}

async function report(): Promise<void> {
  const count = mrSlices(data, "train", { size: input.imageSize }).length;
  const labels = shares.map((share) => Math.round(share * count));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const head = ["labels", ...labels.map(String)];
  const rows = methods.map((name) => [
    name,
    ...shares.map((share) => formatSpread(spread(measured.get(key(name, share))!)).replace(/ \(.*/, "")),
  ]);
  console.log([line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n"));
  const chart = lineChart({
    title: "Accuracy by number of labels, slices through the head",
    xLabel: "labels",
    yLabel: "accuracy",
    series: methods.map((name) => ({
      name,
      x: labels,
      y: shares.map((share) => spread(measured.get(key(name, share))!).mean),
    })),
  });
  const file = join(folder, "accuracy.svg");
  await writeFileAtomic(file, chart);
  console.log(file);
}
