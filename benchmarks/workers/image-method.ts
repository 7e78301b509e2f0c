/**
 * One method of `image-methods`, in a process of its own so that its peak of memory is its own: pretrains it, measures its
 * features, prints the result as JSON. The first argument is a job as JSON.
 */
import { join } from "node:path";
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
} from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { type ImageSample, modality } from "@unmask/image";

export interface Job {
  /** Method by its id; raw pixels when absent. */
  readonly method?: string;
  readonly seed: number;
  readonly steps: number;
  /** Folder with train/ and test/, classes as folders below. */
  readonly data: string;
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
  /** Of pretraining alone. */
  readonly seconds: number;
  readonly peakMebibytes: number;
}

const BATCH = 64;

/** One size for all: pictures of 32 pixels, transformers of some 460,000 parameters. */
const common = {
  imageSize: 32,
  patchSize: 4,
  channels: 3,
  mean: [0.49, 0.48, 0.45],
  std: [0.25, 0.24, 0.26],
  width: 96,
  depth: 4,
  heads: 4,
  decoderWidth: 64,
  decoderDepth: 1,
  decoderHeads: 4,
  backbone: "vit",
  projectionWidth: 64,
  hiddenWidth: 256,
  teacherWidth: 96,
  contrastiveWidth: 96,
  jitter: 0.5,
  blur: 0,
  momentum: 0.99,
  classes: 10,
};

/** What small pictures and short training ask of single methods. */
const own: Readonly<Record<string, object>> = {
  "boot-mae": { momentum: [0.99, 0.99, 0.99] },
  cmae: { featureDepth: 1, projectionHidden: 192 },
  "mixed-ae": { recognitionWidth: 64 },
  spark: { stem: "small", width: 16, blocks: [1, 1, 1, 1], bottleneck: false },
  "conv-mae": { stageWidths: [32, 64], stageDepths: [1, 1], depth: 3 },
  moco: { queueLength: 1024 },
  swav: { prototypes: 64, smallCrops: 2, smallSize: 16 },
};

const job = JSON.parse(process.argv[2]!) as Job;
await startEngine(job.engine as Parameters<typeof startEngine>[0]);
process.stdout.write(`${JSON.stringify(await run(job))}\n`);

async function run({ method: id, seed, steps, data, out, teachers: folders }: Job): Promise<Measured> {
  const method = modality.methods.find((each) => each.id === (id ?? modality.defaultMethod));
  if (method === undefined) throw new Error(`no image method ${id}`);
  const config = configOf(method);
  const open = (split: string) =>
    modality.open(join(data, split), { method, config, data: {} }) as Dataset<ImageSample>;
  const [train, test] = [open("train"), open("test")];
  if (id === undefined) {
    const trained = await measure(modality.raw.features, train, test, seed);
    return { trained, steps: 0, seconds: 0, peakMebibytes: peak() };
  }
  const teachers: Record<string, Model> = {};
  for (const [role, folder] of Object.entries(folders))
    teachers[role] = await loadModel(folder, modality.methods);
  const model = createModel(method, config, { seed, teachers }) as Model<object, ImageSample>;
  const done = await pretrained(model, train, steps, seed);
  const peakMebibytes = peak();
  await model.save(out);
  const beginning = createModel(method, config, { seed }) as Model<object, ImageSample>;
  const untrained = await measure(beginning, train, test, seed);
  return { untrained, trained: await measure(model, train, test, seed), ...done, peakMebibytes };
}

/** The common config as far as a method has its keys, and what is its own. */
function configOf(method: Method): object {
  const keys = Object.keys(method.schema.parse({}));
  const shared = Object.entries(common).filter(([key]) => keys.includes(key));
  return method.schema.parse({ ...Object.fromEntries(shared), ...own[method.id] });
}

async function pretrained(
  model: Model<object, ImageSample>,
  train: Dataset<ImageSample>,
  steps: number,
  seed: number,
) {
  const epochs = steps / Math.floor(train.length / BATCH);
  const begin = performance.now();
  let done = 0;
  for await (const event of pretrain(model, train, { epochs, batchSize: BATCH, seed }))
    if (event.type === "step") done = event.step;
  return { steps: done, seconds: (performance.now() - begin) / 1000 };
}

/** Weighted kNN of 20 neighbours, and logistic regression; features are the means of patches. */
async function measure(
  source: Model<object, ImageSample> | FeatureFunction<ImageSample>,
  train: Dataset<ImageSample>,
  test: Dataset<ImageSample>,
  seed: number,
): Promise<Accuracies> {
  const features = (of: Dataset<ImageSample>) => extractFeatures(source, of, { pool: "mean" });
  const [bank, queries] = [await features(train), await features(test)];
  const { top1 } = await knn(bank, queries);
  const regression = await logisticRegression(bank, queries, {
    C: [0.001, 0.01, 0.1],
    seed,
    maxIterations: 100,
  });
  return { knn: top1, probe: regression.top1 };
}

/** Largest resident memory of this process so far. */
function peak(): number {
  return process.resourceUsage().maxRSS / 1024;
}
