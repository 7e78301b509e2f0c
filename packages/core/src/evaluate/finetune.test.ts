import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { digitsTest, digitsTrain } from "../../test/digits.js";
import { BadSampleError } from "../errors.js";
import { crossEntropy } from "../losses/cross-entropy.js";
import type { Classifier } from "../method.js";
import { createModel } from "../model.js";
import { applyLinear, initLinear, type LinearParams } from "../nn/linear.js";
import { createDataset, type Dataset } from "../train/dataset.js";
import { flatten } from "../tree.js";
import {
  evaluateClassifier,
  type FinetuneEvent,
  finetune,
  finetuneOverSeeds,
  resumeFinetune,
} from "./finetune.js";
import type { FeatureRows } from "./labelled.js";
import { softTargets } from "./mix.js";

interface Config {
  readonly classes: number;
  readonly width: number;
}
interface Digit {
  readonly pixels: Float32Array;
  readonly label: number;
}
interface PerceptronParams {
  readonly patch_embed: LinearParams;
  readonly blocks: readonly LinearParams[];
  readonly head: LinearParams;
}
interface PerceptronBatch {
  readonly images: tf.Tensor2D;
  readonly targets: tf.Tensor2D;
}

const tensorOf = (samples: readonly Digit[]) =>
  tf.tensor2d(Float32Array.from(samples.flatMap(({ pixels }) => [...pixels.map((v) => v / 16 - 0.3)])), [
    samples.length,
    64,
  ]);

const forward = ({ patch_embed, blocks, head }: PerceptronParams, x: tf.Tensor) =>
  applyLinear(
    head,
    blocks.reduce(
      (h, block) => applyLinear(block, h, { activation: "gelu", residual: h }),
      applyLinear(patch_embed, x),
    ),
  ) as tf.Tensor2D;

/** Two residual layers. */
const perceptron = {
  id: "perceptron",
  modality: "vector",
  summary: "for these tests",
  paper: "none",
  schema: z.strictObject({ classes: z.int().default(10), width: z.int().default(32) }),
  presets: {},
  init: ({ classes, width }, random) => ({
    patch_embed: initLinear(random, 64, width),
    blocks: [initLinear(random, width, width), initLinear(random, width, width)],
    head: initLinear(random, width, classes),
  }),
  prepare: ({ classes }, samples) => ({
    images: tensorOf(samples),
    targets: tf.tensor2d(
      softTargets(
        samples.map(({ label }) => label),
        classes,
        0.1,
      ),
      [samples.length, classes],
    ),
  }),
  loss: (params, _, { images, targets }) => ({ total: crossEntropy(forward(params, images), targets) }),
  encode: (params, _, samples) => applyLinear(params.patch_embed, tensorOf(samples)),
  logits: (params, _, samples) => forward(params, tensorOf(samples)),
} satisfies Classifier<Config, Digit, PerceptronBatch, PerceptronParams>;

const digits = (name: string, { features, width, labels, classes }: Required<FeatureRows>, change = {}) =>
  createDataset<Digit>({
    name,
    length: labels.length,
    labels,
    classes,
    async get(index, random) {
      if (name === "test" && index === 7) throw new BadSampleError("7", "cut short");
      const pixels = features.slice(index * width, (index + 1) * width);
      return { pixels: pixels.map((v) => v + 0.5 * (random?.normal() ?? 0)), label: labels[index]! };
    },
    ...change,
  });

const trainSet = digits("train", digitsTrain);
const testSet = digits("test", digitsTest);
const options = { epochs: 12, batchSize: 50, lr: 5e-3 };

async function collect(events: AsyncGenerator<FinetuneEvent>) {
  const all: FinetuneEvent[] = [];
  for await (const event of events) all.push(event);
  const evaluations = all.flatMap((event) => (event.type === "evaluation" ? [event] : []));
  return { all, evaluations, last: evaluations[evaluations.length - 1]! };
}

let directory = "";
beforeAll(async () => {
  await tf.setBackend("wasm");
  directory = await mkdtemp(join(tmpdir(), "unmask-finetune-"));
});
afterAll(() => rm(directory, { recursive: true }));

describe("finetune", () => {
  it("learns the digits, scores every epoch and lists what it could not read", async () => {
    const model = createModel(perceptron, {}, { seed: 1 });
    const before = tf.memory().numTensors;
    const { all, evaluations, last } = await collect(finetune(model, trainSet, testSet, options));
    expect(evaluations.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(evaluations[0]!.scores.top1).toBeLessThan(0.6);
    expect(last.scores.top1).toBeGreaterThan(0.92);
    expect(last.scores.skipped).toEqual([{ index: 7, sample: "7", reason: "cut short" }]);
    expect(last.scores.predicted.length).toBe(499);
    expect(all.at(-1)!.type).toBe("end");
    expect(await evaluateClassifier(model, testSet)).toEqual(last.scores);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it("moves earlier layers less, and as much as the others when layer decay is off", async () => {
    const moved = async (layerDecay: number) => {
      const model = createModel(perceptron, {}, { seed: 1 });
      const weights = () =>
        ["patch_embed.weight", "blocks.0.weight", "blocks.1.weight", "head.weight"].map((path) =>
          flatten(model.params).get(path)!.dataSync().slice(),
        );
      const start = weights();
      const events = finetune(model, trainSet, testSet, {
        ...options,
        epochs: 1,
        warmupEpochs: 0,
        layerDecay,
      });
      await collect(events);
      const steps = weights().map((w, i) => Math.max(...w.map((v, j) => Math.abs(v - start[i]![j]!))));
      model.dispose();
      return steps;
    };
    const decayed = await moved(0.1);
    for (let i = 0; i + 1 < decayed.length; i++) expect(decayed[i + 1]! / decayed[i]!).toBeGreaterThan(5);
    const equal = await moved(1);
    for (const step of equal) expect(step / equal[3]!).toBeGreaterThan(0.5);
  });

  it("takes the recipe's rate and warm-up unless told otherwise", async () => {
    const model = createModel(perceptron);
    const { all } = await collect(
      finetune(model, trainSet, testSet, { epochs: 20, batchSize: 250, evaluateEvery: 8, lr: undefined }),
    );
    expect(all[0]).toMatchObject({ type: "start", lr: (5e-4 * 250) / 256 });
    const rates = all.flatMap((event) => (event.type === "step" ? [event.lr] : []));
    expect(rates[0]).toBe(0);
    expect(rates.indexOf(Math.max(...rates))).toBe(4); // two of 20 epochs, two updates each
    expect(rates.at(-1)!).toBeGreaterThan(1e-6);
    const evaluated = all.flatMap((event) => (event.type === "evaluation" ? [event.epoch] : []));
    expect(evaluated).toEqual([8, 16, 20]);
    model.dispose();
  });

  it("continues a run that was left, to the same scores", async () => {
    const out = join(directory, "left");
    const settings = { ...options, epochs: 4, seed: 3, checkpointEvery: { epochs: 1 } };
    const whole = createModel(perceptron, {}, { seed: 2 });
    const expected = (await collect(finetune(whole, trainSet, testSet, settings))).last;
    const first = createModel(perceptron, {}, { seed: 2 });
    for await (const event of finetune(first, trainSet, testSet, { ...settings, out }))
      if (event.type === "checkpoint" && event.step === 20) break;
    const second = createModel(perceptron, {}, { seed: 9 });
    const { evaluations, last } = await collect(resumeFinetune(second, trainSet, testSet, out));
    expect(evaluations.map(({ epoch }) => epoch)).toEqual([3, 4]);
    expect(last.scores).toEqual(expected.scores);
    for (const model of [whole, first, second]) model.dispose();
  });

  it("trains on labelled samples only", async () => {
    const labels = digitsTrain.labels.map((label, i) => (i % 2 === 0 ? label : -1));
    const half = digits("half", { ...digitsTrain, labels });
    const model = createModel(perceptron);
    const { all } = await collect(finetune(model, half, testSet, { ...options, epochs: 1 }));
    expect(all[0]).toMatchObject({ type: "start", stepsPerEpoch: 5 });
    model.dispose();
  });

  it("says before training what does not fit", async () => {
    const model = createModel(perceptron);
    const start = (train: Dataset<Digit>, test: Dataset<Digit>) => finetune(model, train, test).next();
    await expect(start(digits("plain", digitsTrain, { labels: undefined }), testSet)).rejects.toThrow(
      "finetune: the train set has no labels",
    );
    const others = digits("others", digitsTest, { classes: [..."abcdefghij"] });
    await expect(start(trainSet, others)).rejects.toThrow("train and test have different classes");
    const one = digits("one", { ...digitsTrain, labels: new Int32Array(500) });
    await expect(start(one, testSet)).rejects.toThrow("samples of 1 class; at least 2");
    const wide = createModel(perceptron, { classes: 12 });
    await expect(finetune(wide, trainSet, testSet).next()).rejects.toThrow(
      "the perceptron model tells 12 classes apart, the data has 10; create the model with classes: 10",
    );
    await expect(evaluateClassifier(wide, testSet)).rejects.toThrow("tells 12 classes apart");
    const { logits: _, ...encoder } = perceptron;
    const blind = createModel(encoder);
    await expect(finetune(blind, trainSet, testSet).next()).rejects.toThrow(
      "perceptron tells no classes apart",
    );
    for (const each of [model, wide, blind]) each.dispose();
  });
});

describe("finetuneOverSeeds", () => {
  it("gives the last scores of every seed, their mean and spread, and disposes the models", async () => {
    const before = tf.memory().numTensors;
    const seen: number[] = [];
    const scores = await finetuneOverSeeds(
      (seed) => createModel(perceptron, {}, { seed }),
      trainSet,
      testSet,
      {
        ...options,
        epochs: 8,
        seeds: [4, 5],
        evaluateEvery: 8,
        onEvent: (seed, event) => event.type === "evaluation" && seen.push(seed),
      },
    );
    expect(seen).toEqual([4, 5]);
    expect(scores.perSeed.map(({ seed }) => seed)).toEqual([4, 5]);
    expect(scores.top1).toBeGreaterThan(0.8);
    expect(scores.spread.top1.values[0]).not.toBe(scores.spread.top1.values[1]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
