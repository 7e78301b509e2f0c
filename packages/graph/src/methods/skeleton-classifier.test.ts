import * as tf from "@tensorflow/tfjs";
import {
  createDataset,
  createModel,
  createRandom,
  disposeAll,
  finetune,
  flatten,
  type Model,
  type Random,
} from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { createGraphClassifier } from "../modality/classifier.js";
import type { SkeletonSample } from "../skeleton/sample.js";
import { skeletonClassifier } from "./skeleton-classifier.js";
import { skeletonMae } from "./skeleton-mae.js";

const encoder = {
  ...{ joints: 3, frames: 4, persons: 2, framesPerToken: 2 },
  ...{ width: 8, depth: 2, heads: 2, mlpRatio: 2 },
};
const config = { ...encoder, classes: 3, headWidth: 12, dropout: 0.1, dropPath: 0.2 };
const BODY = 4 * 3 * 3;

const samples = (count: number, random: Random): SkeletonSample[] =>
  Array.from({ length: count }, (_, i) => ({
    positions: random.normals(2 * BODY),
    ...{ persons: 2, frames: 4, joints: 3, channels: 3 },
    label: i % 3,
  }));

await contractSuite({ method: skeletonClassifier, config, samples, features: 24, lr: 2e-2, steps: 25 });

describe("skeleton-classifier", () => {
  beforeAll(() => tf.setBackend("cpu"));
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];
  const make = (change = {}) => createModel(skeletonClassifier, { ...config, ...change }, { seed: 3 });
  const features = (model: ReturnType<typeof make>, sample: SkeletonSample, pool?: "mean" | "tokens") => {
    const encoded = model.encode([sample], pool && { pool });
    const read = [...encoded.dataSync()];
    encoded.dispose();
    return read;
  };
  const near = (actual: number[], wanted: number[]) => {
    expect(actual).toHaveLength(wanted.length);
    actual.forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i]!, 5);
    });
  };
  const [sample] = samples(1, createRandom(2)) as [SkeletonSample];
  const [one, other] = [sample.positions.subarray(0, BODY), sample.positions.subarray(BODY)];

  it("shows the head each joint's mean over time and persons, one joint after another", () => {
    const model = make();
    const [tokens, seen] = [features(model, sample, "tokens"), features(model, sample)]; // [2 * 2 * 3, 8]
    const means = Array.from({ length: 24 }, (_, i) =>
      [0, 1, 2, 3].reduce((sum, slot) => sum + tokens[slot * 24 + i]! / 4, 0),
    );
    near(seen, means);
    near(
      features(model, sample, "mean"),
      Array.from({ length: 8 }, (_, d) => (seen[d]! + seen[8 + d]! + seen[16 + d]!) / 3),
    );
    expect(() => model.encode([sample], { pool: "cls" })).toThrow("skeleton-classifier: has no class token");
    model.dispose();
  });

  it("takes persons in any order, and an absent one as zeros that count", () => {
    const [model, alone] = [make(), make({ persons: 1 })];
    near(
      features(model, { ...sample, positions: new Float32Array([...other, ...one]) }),
      features(model, sample),
    );
    const single = { ...sample, positions: one, persons: 1 };
    const [first, absent, both] = [
      features(alone, single),
      features(alone, { ...single, positions: new Float32Array(BODY) }),
      features(model, single),
    ];
    near(
      both,
      first.map((value, i) => (value + absent[i]!) / 2),
    );
    expect(Math.abs(both[0]! - first[0]!)).toBeGreaterThan(1e-3);
    for (const made of [model, alone]) made.dispose();
  });

  it("begins with the encoder of SkeletonMAE, and with itself", () => {
    const small = { decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
    const model = createModel(skeletonMae, { ...encoder, ...small }, { seed: 5 });
    const classifier = createGraphClassifier(
      model as unknown as Model,
      { classes: 4, headWidth: 12 },
      createRandom(1),
    );
    expect(classifier.config).toMatchObject({ ...encoder, classes: 4, dropPath: 0.3, smoothing: 0.1 });
    const paths = [...flatten(classifier.params).keys()].filter((path) => !path.startsWith("head."));
    expect(paths.length).toBeGreaterThan(25);
    for (const path of paths)
      expect(values(classifier, path)).toEqual(values(model as unknown as Model, path));
    const again = createGraphClassifier(classifier, { classes: 4 }, createRandom(2));
    expect(values(again, "head.fc2.weight")).toEqual(values(classifier, "head.fc2.weight"));
    const [plain, seen] = [model.encode([sample]), again.encode([sample], { pool: "mean" })];
    near([...seen.dataSync()], [...plain.dataSync()]);
    disposeAll([plain, seen]);
    for (const made of [model, classifier, again]) made.dispose();
  });

  it("learns; the statistics of the head's norm move and are what evaluation uses", async () => {
    const model = make({ dropout: 0, dropPath: 0 });
    const all = samples(12, createRandom(4));
    const labels = Int32Array.from(all, ({ label }) => label!);
    const dataset = createDataset<SkeletonSample>({
      name: "clips",
      length: 12,
      labels,
      get: async (i) => all[i]!,
    });
    let top1 = 0;
    const training = { epochs: 20, batchSize: 6, lr: 2e-2, evaluateEvery: 20 };
    for await (const event of finetune(model, dataset, dataset, training))
      if (event.type === "evaluation") top1 = event.scores.top1;
    expect(top1).toBe(1);
    const norm = model.params.head.bn;
    expect(norm.num_batches_tracked.dataSync()[0]).toBe(40);
    expect(Math.max(...norm.running_mean.dataSync().map(Math.abs))).toBeGreaterThan(0.01);
    const scores = () => [
      ...tf.tidy(() => skeletonClassifier.logits(model.params, model.config, [sample])).dataSync(),
    ];
    const before = scores();
    norm.running_mean.assign(tf.add(norm.running_mean, 1));
    expect(scores()).not.toEqual(before);
    model.dispose();
  });

  it("drops tokens and branches in training alone", () => {
    const model = make({ dropout: 0.5, dropPath: 0.5 });
    const four = samples(4, createRandom(6));
    const lossOf = (seed: number, of = model) => {
      const batch = of.prepare(four, createRandom(seed));
      const value = tf.tidy(() => of.loss(batch).total.dataSync()[0]!);
      disposeAll(batch);
      return value;
    };
    expect(lossOf(1)).not.toBe(lossOf(2));
    const plain = make({ dropout: 0, dropPath: 0 });
    expect(lossOf(1, plain)).toBe(lossOf(2, plain));
    near(features(model, sample), features(plain, sample));
    for (const made of [model, plain]) made.dispose();
  });

  it("names labels and sizes that do not fit", () => {
    const model = make();
    const random = createRandom(1);
    expect(() => model.prepare([{ ...sample, label: 3 }], random)).toThrow(
      "labels must be 0-2, sample 0 has 3",
    );
    expect(() => model.prepare([{ ...sample, label: undefined }], random)).toThrow("sample 0 has -1");
    expect(() => model.encode([{ ...sample, frames: 2 }])).toThrow(
      "skeleton-classifier: expected 4 frames of 3 joints",
    );
    model.dispose();
  });
});
