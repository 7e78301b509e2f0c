/**
 * pnpm bench skeleton --data DIR [--recipes joints,motion] [--finetune] [--seeds 0,1,2] [--minutes N] [--engine NAME] [--out DIR]
 *
 * Pretrains SkeletonMAE on the sequences of MSR Action3D's subjects of odd number (DIR holds its text files,
 * aAA_sSS_eEE...txt) without their labels, in the joint form (whole frames and joints hidden, coordinates predicted) or
 * MAMP's motion form, and classifies the actions of the other subjects by logistic regression on features with mean 0
 * and deviation 1: joints as they are, and the tokens of an encoder, pretrained and at random, as their mean and as the
 * mean over time of each joint. With --finetune also the accuracy of the whole network trained on the labels of the
 * subjects of odd number, from either encoder, after the last epoch. Runs stand in --out (default runs/skeleton); finished ones are not repeated, and
 * --minutes stops after so many, to be continued by the next call.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import {
  type ConfigInput,
  createModel,
  createRandom,
  extractFeatures,
  type FeatureFunction,
  finetune,
  formatSpread,
  logisticRegression,
  type Model,
  spread,
  startEngine,
  subset,
  type TrainSettingsInput,
} from "@unmask/core";
import {
  createGraphClassifier,
  modality,
  type SkeletonSample,
  skeletonFolder,
  skeletonMae,
} from "@unmask/graph";
import { keptScores, type Scores } from "./workers/kept-scores.js";
import { pretrained } from "./workers/pretrained.js";

const { values: args } = parseArgs({
  options: {
    data: { type: "string" },
    recipes: { type: "string", default: "joints,motion" },
    finetune: { type: "boolean", default: false },
    seeds: { type: "string", default: "0,1,2" },
    minutes: { type: "string", default: "10000" },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/skeleton" },
  },
});
if (args.data === undefined) throw new Error("pnpm bench skeleton: give MSR Action3D's files as --data DIR");

const JOINTS = 20;
const FRAMES = 24;

const size = {
  ...{ joints: JOINTS, frames: FRAMES, persons: 1, framesPerToken: 4 },
  ...{ width: 64, depth: 3, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 4 },
} satisfies ConfigInput<typeof skeletonMae>;

interface Recipe {
  readonly config: ConfigInput<typeof skeletonMae>;
  readonly training: TrainSettingsInput;
}

const training = { epochs: 120, batchSize: 32, lr: 3e-3, warmupEpochs: 10, weightDecay: 0.05 };

const recipes: Readonly<Record<string, Recipe>> = {
  joints: { config: size, training },
  motion: {
    config: { ...size, mask: "random", target: "motion", normaliseTarget: true, maskRatio: 0.8 },
    training,
  },
};

/** Of the reference but for the epochs and the rate, which suit fewer sequences. */
const finetuning = { epochs: 100, batchSize: 32, lr: 1e-3, warmupEpochs: 5, layerDecay: 0.8 };

/** The tokens' mean, and the mean over time of each joint's. [B, D] and [B, joints * D] */
const forms = {
  mean: (model) => (samples) => model.encode(samples) as tf.Tensor,
  "by joint": (model) => (samples) =>
    tf.tidy(() => {
      const tokens = model.encode(samples, { pool: "tokens" }); // [B, T' * V, D]
      const [batch, , width] = tokens.shape as [number, number, number];
      return tf.mean(tokens.reshape([batch, -1, JOINTS * width]), 1);
    }),
} satisfies Record<string, (model: Model) => FeatureFunction<SkeletonSample>>;

const folder = skeletonFolder(args.data, { frames: FRAMES, persons: 1, joints: JOINTS });
const bySubject = (odd: boolean) =>
  subset(
    folder,
    [...Array(folder.length).keys()].filter(
      (i) => (Number(/_s(\d+)_/.exec(folder.nameOf(i))![1]) % 2 === 1) === odd,
    ),
  );
const [train, test] = [bySubject(true), bySubject(false)];

async function accuracy(features: FeatureFunction<SkeletonSample>): Promise<number> {
  const [seen, unseen] = [await extractFeatures(features, train), await extractFeatures(features, test)];
  return (await logisticRegression(seen, unseen, { maxIterations: 300 })).top1;
}

async function scoresOf(model: Model): Promise<Scores> {
  const scores: Record<string, number> = {};
  for (const [form, features] of Object.entries(forms)) scores[form] = await accuracy(features(model));
  return scores;
}

/** Accuracy of the classifier that begins with the model; undefined where time ran out. */
async function fineTuned(model: Model, seed: number): Promise<Scores | undefined> {
  const random = createRandom(seed).child("classifier");
  const settings = { classes: folder.classes!.length };
  const classifier = createGraphClassifier(model, settings, random) as Model<object, SkeletonSample>;
  const options = { ...finetuning, seed, signal, evaluateEvery: finetuning.epochs };
  let scores: Scores | undefined;
  for await (const event of finetune(classifier, train, test, options))
    if (event.type === "evaluation") scores = { "fine-tuned": event.scores.top1 };
  classifier.dispose();
  return scores;
}

const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(
  `engine ${engine.name}, ${engine.threads} threads; ${train.length} sequences, ${test.length} to score`,
);
const signal = AbortSignal.timeout(Number(args.minutes) * 60_000);
const seeds = args.seeds.split(",").map(Number);
const table = new Map<string, number[]>();
const note = (row: string, scores: Scores | undefined) => {
  for (const [form, value] of Object.entries(scores ?? {})) {
    const name = `${row.padEnd(24)} ${form.padEnd(10)}`;
    table.set(name, [...(table.get(name) ?? []), value]);
  }
};
note(
  "joints as they are",
  await keptScores(args.out, "raw", async () => ({ flat: await accuracy(modality.raw.features) })),
);
for (const seed of seeds) {
  const untrained = async () => {
    const model: Model = createModel(skeletonMae, size, { seed });
    const scores = await scoresOf(model);
    model.dispose();
    return scores;
  };
  note("random encoder", await keptScores(args.out, `random-${seed}`, untrained));
  const scratch = async () => {
    const model: Model = createModel(skeletonMae, size, { seed });
    const scores = await fineTuned(model, seed);
    model.dispose();
    return scores;
  };
  if (args.finetune) note("random encoder", await keptScores(args.out, `random-${seed}-finetuned`, scratch));
  for (const name of args.recipes.split(",")) {
    const recipe = recipes[name];
    if (recipe === undefined) throw new Error(`--recipes: there is no ${name}`);
    const encoder = () => {
      const out = join(args.out, `${name}-${seed}`);
      const onEpoch = ({ epoch, loss, seconds }: { epoch: number; loss: number; seconds: number }) => {
        if (epoch % 20 === 0)
          console.log(`${out}: epoch ${epoch}, loss ${loss.toFixed(4)}, ${seconds.toFixed(0)} s`);
      };
      const options = { ...recipe.training, seed, out, signal, onEpoch };
      return pretrained(skeletonMae, recipe.config, train, options);
    };
    const trained = (measure: (model: Model) => Promise<Scores | undefined>) => async () => {
      const model = await encoder();
      if (model === undefined) return undefined;
      const scores = await measure(model);
      model.dispose();
      return scores;
    };
    const row = `pretrained, ${name}`;
    note(row, await keptScores(args.out, `${name}-${seed}`, trained(scoresOf)));
    if (args.finetune) {
      const tuned = trained((model) => fineTuned(model, seed));
      note(row, await keptScores(args.out, `${name}-${seed}-finetuned`, tuned));
    }
  }
}
console.log(`\n% of the ${test.length} sequences, mean and deviation over seeds ${seeds.join(", ")}`);
for (const [row, values] of table) console.log(`${row} ${formatSpread(spread(values))}`);
