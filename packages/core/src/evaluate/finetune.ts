/**
 * Fine-tuning of a whole classifier by MAE's recipe (He et al., CVPR 2022, appendix A.1): AdamW, layer-wise learning-rate
 * decay, cosine schedule with warm-up. Mixing, smoothing and drop path belong to the method's config.
 */
import type * as tf from "@tensorflow/tfjs";
import { expect, UnmaskError } from "../errors.js";
import type { Batch, Classifier } from "../method.js";
import type { Model } from "../model.js";
import { countBlocks } from "../optim/rules.js";
import { tidy } from "../scope.js";
import { type Dataset, subset } from "../train/dataset.js";
import type { TrainEvent } from "../train/events.js";
import type { SkippedSample } from "../train/loader.js";
import type { TrainSettingsInput } from "../train/options.js";
import {
  resumeTraining,
  train as runTraining,
  type TrainControls,
  type TrainOptions,
  type TrainTask,
} from "../train/train.js";
import { flatten, type Params } from "../tree.js";
import { extractFeatures, type FeatureOptions } from "./features.js";
import { commonClasses, labelledRows } from "./labelled.js";
import { overSeeds, type Scores, type SeededScores, scoresOf } from "./scores.js";

export interface ClassifierScores extends Scores {
  /** Test samples that could not be read. */
  readonly skipped: readonly SkippedSample[];
}

export type EvaluationOptions = Pick<FeatureOptions, "batchSize" | "onProgress">;

/** Scores of a classifier on the evaluation views of a labelled data set. */
export async function evaluateClassifier<C extends object, S, B extends Batch, P extends Params, R>(
  model: Model<C, S, B, P, R>,
  dataset: Dataset<S>,
  options: EvaluationOptions = {},
): Promise<ClassifierScores> {
  const name = "evaluateClassifier";
  const logits = await extractFeatures(logitsOf(name, model), dataset, options);
  const { features, labels } = labelledRows(name, dataset.name, logits);
  const classes = dataset.classes ?? Array.from({ length: logits.width }, (_, i) => String(i));
  const count = dataset.classes?.length ?? Math.max(...new Set(labels)) + 1;
  checkWidth(name, model.method.id, logits.width, count, dataset.classes);
  return { ...scoresOf(name, features, labels, classes), skipped: logits.skipped };
}

/** After an epoch that is followed by an evaluation on the test set. */
export interface EvaluationEvent {
  readonly type: "evaluation";
  /** Epochs done. */
  readonly epoch: number;
  readonly step: number;
  readonly scores: ClassifierScores;
}

export type FinetuneEvent = TrainEvent | EvaluationEvent;

export interface FinetuneEvaluation {
  /** Epochs between evaluations, 1 when absent; the last epoch is always followed by one. */
  readonly evaluateEvery?: number;
  readonly evaluation?: EvaluationOptions;
}

/**
 * Training options with fine-tuning's defaults: 100 epochs, blr 5e-4, minLr 1e-6, betas [0.9, 0.999], layer decay 0.75
 * where the parameters have blocks, 5 epochs of warm-up or a tenth of all when that is less.
 */
export interface FinetuneOptions extends TrainOptions, FinetuneEvaluation {}

/**
 * Trains all of a classifier in place on the labelled samples of `train` and scores it on `test` as it goes; its
 * events say how. The last evaluation is the result.
 * @throws UnmaskError when labels are missing, there is one class, or the class lists of model, train and test differ
 */
export async function* finetune<C extends object, S, B extends Batch, P extends Params, R>(
  model: Model<C, S, B, P, R>,
  train: Dataset<S>,
  test: Dataset<S>,
  { evaluateEvery, evaluation, ...training }: FinetuneOptions = {},
): AsyncGenerator<FinetuneEvent, void, undefined> {
  await checkClasses(model, train, test);
  const options = { ...finetuneDefaults(model.params, training.epochs), ...given(training) };
  const events = runTraining(finetuneTask(model), labelledPart(train), options);
  yield* withEvaluation(model, test, events, { evaluateEvery, evaluation });
}

/** Continues a fine-tuning run from its newest checkpoint, on the data sets it was begun with. */
export async function* resumeFinetune<C extends object, S, B extends Batch, P extends Params, R>(
  model: Model<C, S, B, P, R>,
  train: Dataset<S>,
  test: Dataset<S>,
  out: string,
  { evaluateEvery, evaluation, ...controls }: TrainControls & FinetuneEvaluation = {},
): AsyncGenerator<FinetuneEvent, void, undefined> {
  await checkClasses(model, train, test);
  const events = resumeTraining(finetuneTask(model), labelledPart(train), out, controls);
  yield* withEvaluation(model, test, events, { evaluateEvery, evaluation });
}

export interface FinetuneOverSeedsOptions extends Omit<FinetuneOptions, "seed"> {
  /** Of initial weights, order and views; 0, 1 and 2 when absent. */
  readonly seeds?: readonly number[];
  readonly onEvent?: (seed: number, event: FinetuneEvent) => void;
}

/**
 * Fine-tunes one model for each seed and returns the scores after the last epoch of each.
 * @param create the model of a seed; it is disposed after its evaluation
 */
export async function finetuneOverSeeds<C extends object, S, B extends Batch, P extends Params, R>(
  create: (seed: number) => Model<C, S, B, P, R> | Promise<Model<C, S, B, P, R>>,
  train: Dataset<S>,
  test: Dataset<S>,
  { seeds = [0, 1, 2], onEvent, out, ...options }: FinetuneOverSeedsOptions = {},
): Promise<SeededScores> {
  expect(seeds.length > 0, "finetuneOverSeeds: no seed given; pass for example [0, 1, 2]");
  const perSeed: (ClassifierScores & { seed: number })[] = [];
  for (const seed of seeds) {
    const model = await create(seed);
    try {
      let last: ClassifierScores | undefined;
      const own = { ...options, seed, out: out === undefined ? undefined : `${out}/seed-${seed}` };
      for await (const event of finetune(model, train, test, own)) {
        if (event.type === "evaluation") last = event.scores;
        onEvent?.(seed, event);
        if (event.type === "stop") throw new UnmaskError(`finetuneOverSeeds: seed ${seed}: ${event.message}`);
      }
      perSeed.push({ seed, ...last! });
    } finally {
      model.dispose();
    }
  }
  return overSeeds(perSeed);
}

function finetuneDefaults(params: Params, epochs = 100): TrainSettingsInput {
  const blocks = countBlocks(flatten(params).keys());
  return {
    epochs,
    blr: 5e-4,
    minLr: 1e-6,
    warmupEpochs: Math.min(5, epochs / 10),
    betas: [0.9, 0.999],
    layerDecay: blocks > 0 ? 0.75 : undefined,
  };
}

/** The options that have a value, so that undefined does not hide a default. */
function given<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

async function* withEvaluation<C extends object, S, B extends Batch, P extends Params, R>(
  model: Model<C, S, B, P, R>,
  test: Dataset<S>,
  events: AsyncGenerator<TrainEvent, void, undefined>,
  { evaluateEvery = 1, evaluation }: FinetuneEvaluation,
): AsyncGenerator<FinetuneEvent, void, undefined> {
  expect(
    Number.isInteger(evaluateEvery) && evaluateEvery > 0,
    `finetune: evaluateEvery must be a positive integer, got ${evaluateEvery}`,
  );
  let steps = 0;
  for await (const event of events) {
    yield event;
    if (event.type === "start") steps = event.steps;
    if (event.type !== "epoch") continue;
    const { epoch, step } = event;
    if (epoch % evaluateEvery !== 0 && step !== steps) continue;
    yield { type: "evaluation", epoch, step, scores: await evaluateClassifier(model, test, evaluation) };
  }
}

/** Classes of train, test and model agree; told before anything is trained. */
async function checkClasses<C extends object, S, B extends Batch, P extends Params, R>(
  model: Model<C, S, B, P, R>,
  train: Dataset<S>,
  test: Dataset<S>,
): Promise<void> {
  const classes = commonClasses("finetune", train, test);
  const logits = logitsOf("finetune", model);
  const samples = await test.take(1);
  expect(samples.length > 0, `finetune: none of the samples of ${test.name} can be read; check the path`);
  const width = tidy(() => logits(samples).shape[1]);
  checkWidth("finetune", model.method.id, width, classes.length, train.classes ?? test.classes);
}

/** A model of named classes has exactly those; where they have no names, it may know more than occur. */
function checkWidth(
  name: string,
  method: string,
  width: number,
  count: number,
  names: readonly string[] | undefined,
): void {
  expect(
    names === undefined ? count <= width : count === width,
    `${name}: the ${method} model tells ${width} classes apart, the data has ${count}; create the model with classes: ${count}`,
  );
}

function logitsOf<C extends object, S, B extends Batch, P extends Params, R>(
  name: string,
  { method, config, params }: Model<C, S, B, P, R>,
): (samples: readonly S[]) => tf.Tensor2D {
  const { logits } = method as Partial<Classifier<C, S, B, P>>;
  expect(
    logits !== undefined,
    `${name}: ${method.id} tells no classes apart; put its encoder into a classifier such as vit`,
  );
  return (samples) => tidy(() => logits(params, config, samples));
}

/** The samples that have a label; the data set itself where all have. */
function labelledPart<S>(dataset: Dataset<S>): Dataset<S> {
  const labels = dataset.labels!;
  if (labels.every((label) => label >= 0)) return dataset;
  return subset(
    dataset,
    [...labels.keys()].filter((index) => labels[index]! >= 0),
  );
}

function finetuneTask<C extends object, S, B extends Batch, P extends Params, R>({
  method,
  config,
  params,
  prepare,
  loss,
}: Model<C, S, B, P, R>): TrainTask<S, B> {
  return { kind: "finetune", method: method.id, config, params, prepare, loss };
}
