import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, flatten, maskedFlags, type Random, tidy } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { roundHalfToEven, spark } from "./spark.js";

const config = {
  imageSize: [8, 24],
  channels: 2,
  network: "resnet",
  bottleneck: false,
  stem: "small",
  width: 4,
  blocks: [1, 1, 1, 1],
  decoderWidth: 8,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof spark>>[1];

const convnext = {
  ...config,
  network: "convnext",
  stemPatch: 1,
  layerScale: 0.5,
} satisfies Parameters<typeof createModel<typeof spark>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(8 * 24 * 2),
    height: 8,
    width: 24,
    channels: 2,
  }));

await contractSuite({
  method: spark,
  config,
  samples,
  features: 32,
  overfits: 0.96,
  steps: 8,
  lr: 1e-2,
  differenceStep: 1e-4,
});

await onEveryEngine("spark", () => {
  it.each([config, convnext])("does not let hidden pixels reach the maps, %#", (given) => {
    const model = createModel(spark, given, { seed: 2 });
    const batch = model.prepare(samples(2, createRandom(1)), createRandom(2));
    const hidden = tf.tensor4d(maskedFlags(batch.mask), [2, 1, 3, 1]);
    const pixels = tf.image.resizeNearestNeighbor(hidden as tf.Tensor4D, [8, 24]);
    const show = (images: tf.Tensor4D) =>
      tidy(() => spark.reconstruct(model.params, model.config, { ...batch, images }).reconstructed);
    // What is drawn from visible statistics depends on visible pixels alone.
    const [before, after] = [batch.images, tf.add(batch.images, tf.mul(pixels, 3)) as tf.Tensor4D].map(
      (images) => show(images),
    );
    expect(tf.max(tf.abs(tf.sub(before!, after!))).dataSync()[0]).toBeLessThan(1e-5);
    model.dispose();
  });

  it("gives every parameter of a ConvNeXt a gradient", () => {
    const model = createModel(spark, { ...convnext, dropPath: 0.2 }, { seed: 2 });
    const batch = model.prepare(samples(2, createRandom(1)), createRandom(2));
    const variables = [...flatten(model.params)].filter(([, { trainable }]) => trainable);
    const { grads } = tf.variableGrads(
      () => spark.loss(model.params, model.config, batch).total,
      variables.map(([, variable]) => variable),
    );
    const none = variables.filter(([, { name }]) => {
      const gradient = grads[name];
      return gradient === undefined || tf.max(tf.abs(gradient)).dataSync()[0] === 0;
    });
    expect(none.map(([path]) => path)).toEqual([]);
    disposeAll([grads, batch]);
    model.dispose();
  });
});

describe("spark", () => {
  it("rounds the number of visible cells as the reference does", () => {
    // Python: [round(x) for x in (0.5, 1.5, 2.5, 1.4, 19.6)]
    expect([0.5, 1.5, 2.5, 1.4, 19.6].map(roundHalfToEven)).toEqual([0, 2, 2, 1, 20]);
    const model = createModel(spark, { ...config, imageSize: [16, 24], maskRatio: 0.75 });
    const sample = { pixels: new Uint8Array(16 * 24 * 2), height: 16, width: 24, channels: 2 };
    expect(model.prepare([sample], createRandom(2)).mask.kept).toBe(2); // round(1.5)
  });

  it("names a size that the encoder's stride does not divide, and pools that it has not", () => {
    expect(() => createModel(spark, { ...config, imageSize: 20 })).toThrow(
      "imageSize 20x20 is not a multiple of the encoder's stride 8",
    );
    const model = createModel(spark, config);
    expect(() => model.encode(samples(1, createRandom(1)), { pool: "cls" })).toThrow("no class token");
    expect(model.encode(samples(1, createRandom(1)), { pool: "tokens" }).shape).toEqual([1, 3, 32]);
  });
});
