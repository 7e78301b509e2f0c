import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  flatten,
  maskFromFlags,
  patchify,
  type Random,
  tidy,
  trainable,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import { bootMae, encodeVisible, pixelTarget } from "./boot-mae.js";
import { patchWeights } from "./boot-mae-mask.js";

const config = {
  imageSize: [12, 16],
  patchSize: [4, 4],
  channels: 2,
  width: 12,
  depth: 2,
  heads: 2,
  decoderWidth: 8,
  decoderDepth: 1,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof bootMae>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(12 * 16 * 2),
    height: 12,
    width: 16,
    channels: 2,
  }));

// The class token starts at 1e-6, where a layer norm bends within a finite difference unless its epsilon is larger.
await contractSuite({
  method: bootMae,
  config: { ...config, depth: 1, epsilon: 0.01 },
  samples,
  features: 12,
  overfits: 0.8,
});

await onEveryEngine("boot-mae", () => {
  it("does not let hidden pixels reach the encoder", () => {
    const model = createModel(bootMae, config);
    const { images, mask } = model.prepare(samples(1, createRandom(1)), createRandom(2));
    const seen = (pixels: tf.Tensor4D) =>
      encodeVisible(model.params, model.config, pixels, mask).latent.dataSync();
    const hidden = new Set(mask.masked);
    const place = (i: number) => Math.floor(i / 2 / 16 / 4) * 4 + (Math.floor(i / 2 / 4) % 4);
    const altered = images.dataSync().map((value, i) => (hidden.has(place(i)) ? value + 7 : value));
    expect(patchify(images, [4, 4]).shape[1]).toBe(12);
    expect(seen(tf.tensor4d(altered, images.shape))).toEqual(seen(images));
  });

  it("moves the momentum encoder by its momentum alone, and the weight of features up within a quarter of training", () => {
    const model = createModel(bootMae, { ...config, momentum: [0.5, 0.75, 1], momentumEpochs: [10, 20] });
    const { params } = model;
    expect([...trainable(params).keys()].filter((path) => /^ema|feature_weight/.test(path))).toEqual([]);
    const after = (step: number) => {
      params.cls_token.assign(tf.ones([1, 1, 12]));
      params.ema.cls_token.assign(tf.zeros([1, 1, 12]));
      bootMae.afterUpdate(params, model.config, { step, steps: 80, stepsPerEpoch: 2 });
      return [1 - params.ema.cls_token.dataSync()[0]!, params.feature_weight.dataSync()[0]!];
    };
    expect(after(2)).toEqual([0.525, 0.2].map((value) => expect.closeTo(value, 6)));
    expect(after(10)[0]).toBeCloseTo(0.625, 6);
    expect(after(30)).toEqual([0.875, 1].map((value) => expect.closeTo(value, 6)));
    expect(after(80)[0]).toBeCloseTo(1, 6);
    for (const path of flatten(params.ema).keys()) expect(flatten(params).has(path)).toBe(true);
  });
});

it("weighs hidden patches by the hidden ones around them, beyond the border being visible", () => {
  const resolved = createModel(bootMae, config).config;
  const flags = [
    [1, 1, 0, 0],
    [1, 1, 0, 0],
    [1, 0, 0, 1],
  ].flat();
  const weights = tidy(() => patchWeights(resolved, maskFromFlags(flags, 1)).dataSync());
  const ninths = [
    [4, 4, 0, 0],
    [5, 5, 0, 0],
    [3, 0, 0, 1],
  ].flat();
  for (const [i, weight] of weights.entries()) expect(weight).toBeCloseTo(flags[i]! && 1 + ninths[i]! / 9, 6);
  const flat = tidy(() =>
    patchWeights({ ...resolved, weightMask: false }, maskFromFlags(flags, 1)).dataSync(),
  );
  expect([...flat]).toEqual(flags);
});

it("hides rectangles: hidden patches have more hidden neighbours than scattered ones would", () => {
  const model = createModel(bootMae, { ...config, imageSize: [56, 56] });
  const image: ImageSample = { pixels: new Uint8Array(56 * 56 * 2), height: 56, width: 56, channels: 2 };
  const { images, mask } = model.prepare(Array(20).fill(image), createRandom(3));
  expect(mask.kept).toBe(49);
  const hidden = (b: number, token: number) => mask.restore[b * 196 + token]! >= mask.kept;
  let [pairs, alike] = [0, 0];
  for (let b = 0; b < 20; b++)
    for (let token = 0; token < 196; token++)
      if (token % 14 < 13) {
        pairs++;
        if (hidden(b, token) === hidden(b, token + 1)) alike++;
      }
  expect(alike / pairs).toBeGreaterThan(0.7); // 0.75^2 + 0.25^2 = 0.625 where patches are scattered
  images.dispose();
});

it("names encoder blocks that do not exist", () => {
  const model = createModel(bootMae, { ...config, injectBlocks: [0, 2] });
  const batch = model.prepare(samples(1, createRandom(1)), createRandom(2));
  expect(() => model.loss(batch)).toThrow("injectBlocks 0, 2 are not among 2 blocks");
});

it("rounds the width of heads down where the number of heads does not divide a decoder", () => {
  const { params, loss, prepare } = createModel(bootMae, {
    ...config,
    decoderWidth: 12,
    heads: 5,
    width: 20,
  });
  const shapes = new Map([...flatten(params)].map(([path, { shape }]) => [path, shape]));
  expect(shapes.get("decode_blocks.0.attn.qkv.weight")).toEqual([30, 12]);
  expect(shapes.get("decode_blocks.0.attn.proj.weight")).toEqual([12, 10]);
  expect(shapes.get("decode_blocks.0.c_attn.kv.weight")).toEqual([20, 20]);
  expect(loss(prepare(samples(2, createRandom(1)), createRandom(2))).total.dataSync()[0]).toBeGreaterThan(0);
});

it("turns normalised channels back into the pixels that they were made of", () => {
  const { config: complete, prepare } = createModel(bootMae, config);
  const { images, mask } = prepare(samples(2, createRandom(1)), createRandom(2));
  const patches = patchify(images, complete.patchSize);
  const prediction = pixelTarget(complete, images);
  const pictures = reconstruction(
    complete,
    { patches, prediction, mask, normalised: "channels" },
    { denormalise: "truth" },
  );
  expect(tf.max(tf.abs(tf.sub(pictures.reconstructed, pictures.original))).dataSync()[0]).toBeLessThan(1e-5);
});
