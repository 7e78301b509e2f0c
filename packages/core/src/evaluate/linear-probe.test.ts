import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { digitsTest, digitsTrain } from "../../test/digits.js";
import { BadSampleError } from "../errors.js";
import { createDataset } from "../train/dataset.js";
import type { FeatureRows } from "./labelled.js";
import { linearProbe, type ProbeEpoch, probeFeatures } from "./linear-probe.js";

beforeAll(async () => {
  await tf.setBackend("wasm");
});

const rowsOf = ({ features, width }: FeatureRows, index: number) =>
  features.subarray(index * width, (index + 1) * width);

const pixels = (samples: readonly Float32Array[]) => {
  const rows = new Float32Array(samples.length * 64);
  samples.forEach((sample, i) => {
    rows.set(sample, i * 64);
  });
  return rows;
};

const digitsSet = (
  name: string,
  rows: Required<FeatureRows>,
  onGet: (augmented: boolean) => void = () => {},
) =>
  createDataset<Float32Array>({
    name,
    length: 200,
    labels: rows.labels.subarray(0, 200),
    classes: rows.classes,
    async get(index, random) {
      onGet(random !== undefined);
      if (name === "train" && index === 3) throw new BadSampleError("3", "cut short");
      return rowsOf(rows, index).map((v) => v + (random?.normal() ?? 0));
    },
  });

describe("probeFeatures", () => {
  it("learns the digits by the recipe, with a spread over seeds and the same again for the same seeds", async () => {
    const before = tf.memory().numTensors;
    const options = { epochs: 20, seeds: [1, 2] };
    const scores = await probeFeatures(digitsTrain, digitsTest, options);
    expect(scores.top1).toBeGreaterThan(0.94); // a logistic regression gives 0.96
    expect(scores.top5).toBeGreaterThan(scores.top1);
    expect(scores.perSeed.map(({ seed }) => seed)).toEqual([1, 2]);
    expect(scores.top1).toBeCloseTo((scores.perSeed[0]!.top1 + scores.perSeed[1]!.top1) / 2, 12);
    expect(scores.spread.top1.n).toBe(2);
    expect(scores.confusion.counts.reduce((a, b) => a + b)).toBe(2 * 500);
    expect([...scores.perSeed[0]!.predicted]).not.toEqual([...scores.perSeed[1]!.predicted]);
    expect(await probeFeatures(digitsTrain, digitsTest, options)).toEqual(scores);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("warms up, anneals and tells the loss of every epoch", async () => {
    const epochs: ProbeEpoch[] = [];
    await probeFeatures(digitsTrain, digitsTest, {
      epochs: 9,
      seeds: [0],
      blr: 0.4,
      batchSize: 128,
      onEpoch: (e) => epochs.push(e),
    });
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(epochs[0]!.lr).toBe(0);
    expect(epochs[1]!.lr).toBeCloseTo(0.2, 12); // blr * batch / 256, reached after a ninth of the epochs
    expect(epochs[5]!.lr).toBeCloseTo(0.1, 12);
    expect(epochs[8]!.loss).toBeLessThan(epochs[0]!.loss);
  });

  it("refuses what cannot be trained", async () => {
    await expect(probeFeatures(digitsTrain, digitsTest, { seeds: [] })).rejects.toThrow("no seed given");
    await expect(probeFeatures(digitsTrain, digitsTest, { batchSize: 1 })).rejects.toThrow(
      "batch of at least 2",
    );
    const wild = probeFeatures(digitsTrain, digitsTest, { lr: 1e30, seeds: [0] });
    await expect(wild).rejects.toThrow("give a lower lr");
  });
});

describe("linearProbe", () => {
  it("extracts features once when nothing is augmented, and lists what it could not read", async () => {
    const reads = { train: 0, test: 0 };
    const scores = await linearProbe(
      pixels,
      digitsSet("train", digitsTrain, () => reads.train++),
      digitsSet("test", digitsTest, () => reads.test++),
      { epochs: 50, seeds: [0, 1] },
    );
    expect(reads).toEqual({ train: 200, test: 200 });
    expect(scores.skipped).toEqual([{ index: 3, sample: "3", reason: "cut short" }]);
    expect(scores.top1).toBeGreaterThan(0.85);
    expect(scores.predicted.length).toBe(200);
  });

  it("takes a new training view of every sample in each epoch when asked to, never of test", async () => {
    const reads = { plain: 0, augmented: 0 };
    const count = (augmented: boolean) => {
      reads[augmented ? "augmented" : "plain"]++;
    };
    const test = digitsSet("test", digitsTest, (augmented) => expect(augmented).toBe(false));
    await linearProbe(pixels, digitsSet("train", digitsTrain, count), test, {
      augment: true,
      epochs: 3,
      seeds: [0],
    });
    expect(reads).toEqual({ plain: 200, augmented: 600 });
  });

  it("checks classes before it encodes anything", async () => {
    const test = { ...digitsSet("test", digitsTest), classes: ["zero"] };
    const never = () => {
      throw new Error("encoded");
    };
    await expect(linearProbe(never, digitsSet("train", digitsTrain), test)).rejects.toThrow(
      "linearProbe: train and test have different classes",
    );
  });
});
