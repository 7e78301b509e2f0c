import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, flatten, type Model, normal, tidy, trainable } from "@unmask/core";
import { beforeAll, describe, expect, it } from "vitest";
import { bootMae } from "../methods/boot-mae.js";
import { cmae } from "../methods/cmae.js";
import { convMae } from "../methods/conv-mae.js";
import { type ConvVitParams, convVit } from "../methods/conv-vit.js";
import { edgeMae } from "../methods/edge-mae.js";
import { mae } from "../methods/mae.js";
import { mixedAe } from "../methods/mixed-ae.js";
import { saim } from "../methods/saim.js";
import { createImageClassifier, createVitClassifier } from "./classifier.js";

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
    createModel(edgeMae, { ...shape, decoderDepth: 1 }),
  ] as unknown as Model[];

const pictures = (side: number) =>
  [3, 4].map((seed) => ({
    pixels: createRandom(seed).uniforms(side * side),
    height: side,
    width: side,
    channels: 1,
  }));

describe("a classifier that begins with an encoder", () => {
  it("has that encoder's features, whatever names and parts its parameters have", () => {
    for (const model of models()) {
      const random = createRandom(1);
      for (const [path, variable] of trainable(model.params)) // biases and norms are not as they start
        if (variable.rank === 1)
          tidy(() => variable.assign(tf.add(variable, normal(0.3)(variable.shape, random.child(path)))));
      const classifier = createVitClassifier(model, { classes: 3, pool: "cls" }, createRandom(2));
      const samples = pictures(8);
      const [own, classifiers] = [model, classifier].map((each) =>
        each.encode(samples, { pool: "cls" }).dataSync(),
      );
      for (const [i, value] of own!.entries()) expect(classifiers![i], model.method.id).toBeCloseTo(value, 4);
      expect(flatten(classifier.params).get("head.weight")!.shape).toEqual([3, 8]);
    }
  });

  it("has ConvMAE's stages and transformer, and its positions on the new grid", () => {
    const stages = { stageWidths: [4, 6], stageDepths: [1, 1] } as const;
    const model = createModel(convMae, { ...shape, ...stages, decoderDepth: 1 }) as unknown as Model;
    const classifier = createImageClassifier(model, { classes: 3, imageSize: 12 }, createRandom(2));
    expect(classifier.method).toBe(convVit);
    const [from, to] = [flatten(model.params), flatten(classifier.params)];
    for (const path of ["patch_embed1.proj.weight", "blocks2.0.attn.weight", "blocks3.1.mlp.fc2.weight"])
      expect(to.get(path)!.dataSync(), path).toEqual(from.get(path)!.dataSync());
    expect((classifier.params as ConvVitParams).pos_embed.shape).toEqual([1, 9, 8]);
    expect(classifier.encode(pictures(12)).shape).toEqual([2, 8]);
  });
});
