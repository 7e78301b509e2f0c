import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, flatten, type Model, normal, tidy, trainable } from "@unmask/core";
import { beforeAll, describe, expect, it } from "vitest";
import { bootMae } from "../methods/boot-mae.js";
import { cmae } from "../methods/cmae.js";
import { mae } from "../methods/mae.js";
import { mixedAe } from "../methods/mixed-ae.js";
import { saim } from "../methods/saim.js";
import { createVitClassifier } from "./classifier.js";

beforeAll(() => tf.setBackend("cpu"));

const shape = {
  imageSize: 8,
  patchSize: 4,
  channels: 1,
  width: 8,
  depth: 2,
  heads: 2,
  mean: [0.5],
  std: [0.25],
};

const models = (): Model[] =>
  [
    createModel(mae, { ...shape, decoderDepth: 1 }),
    createModel(bootMae, { ...shape, decoderDepth: 1 }),
    createModel(cmae, { ...shape, decoderDepth: 1 }),
    createModel(saim, shape),
    createModel(mixedAe, { ...shape, decoderDepth: 1 }),
  ] as unknown as Model[];

describe("a classifier that begins with an encoder", () => {
  it("has that encoder's features, whatever names and parts its parameters have", () => {
    for (const model of models()) {
      const random = createRandom(1);
      for (const [path, variable] of trainable(model.params)) // biases and norms are not as they start
        if (variable.rank === 1)
          tidy(() => variable.assign(tf.add(variable, normal(0.3)(variable.shape, random.child(path)))));
      const classifier = createVitClassifier(model, { classes: 3, pool: "cls" }, createRandom(2));
      const samples = [3, 4].map((seed) => ({
        pixels: createRandom(seed).uniforms(64),
        height: 8,
        width: 8,
        channels: 1,
      }));
      const [own, classifiers] = [model, classifier].map((each) =>
        each.encode(samples, { pool: "cls" }).dataSync(),
      );
      for (const [i, value] of own!.entries()) expect(classifiers![i], model.method.id).toBeCloseTo(value, 4);
      expect(flatten(classifier.params).get("head.weight")!.shape).toEqual([3, 8]);
    }
  });
});
