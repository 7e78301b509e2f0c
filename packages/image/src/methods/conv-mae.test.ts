import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  type Model,
  maskedFlags,
  maskedMse,
  patchify,
  type Random,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { pixelTarget } from "../pixel-target.js";
import type { ImageSample } from "../sample.js";
import {
  type ConvMaeBatch,
  type ConvMaeConfig,
  type ConvMaeParams,
  convMae,
  decodeConvAll,
  encodeConv,
} from "./conv-mae.js";

const config = {
  imageSize: [8, 12],
  patchSize: 4,
  channels: 2,
  width: 8,
  depth: 1,
  heads: 2,
  stageWidths: [4, 6],
  stageDepths: [1, 1],
  stageMlpRatios: [2, 2],
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof convMae>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(8 * 12 * 2),
    height: 8,
    width: 12,
    channels: 2,
  }));

await contractSuite({
  method: convMae,
  config,
  samples,
  features: 8,
  overfits: 0.96,
  steps: 12,
  lr: 1e-2,
  withNoiseAtVisible(model, batch, random) {
    const { params, config } = model as Model<ConvMaeConfig, ImageSample, ConvMaeBatch, ConvMaeParams>;
    const { images, mask } = batch as ConvMaeBatch;
    const prediction = decodeConvAll(params, config, encodeConv(params, config, images, mask).latent, mask);
    const visible = tf.sub(1, tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]));
    const noise = tf.mul(tf.tensor(random.normals(prediction.size), prediction.shape), visible);
    return maskedMse(
      tf.add(prediction, noise),
      pixelTarget(config, patchify(images, config.patchSize)),
      mask,
    );
  },
});

await onEveryEngine("conv-mae", () => {
  it("does not let hidden pixels reach the encoder", () => {
    const model = createModel(convMae, config);
    const { images, mask } = model.prepare(samples(2, createRandom(1)), createRandom(2));
    const cells = tf.tensor4d(maskedFlags(mask), [2, 2, 3, 1]);
    const hidden = tf.image.resizeNearestNeighbor(cells as tf.Tensor4D, [8, 12]);
    const changed = tf.add(images, tf.mul(hidden, 7)) as tf.Tensor4D;
    const [before, after] = [images, changed].map((pixels) =>
      encodeConv(model.params, model.config, pixels, mask).latent.dataSync(),
    );
    expect(after).toEqual(before);
  });
});

it("names patches that the finer grids do not divide, and pools that it has not", () => {
  expect(() => createModel(convMae, { ...config, patchSize: 2 })).toThrow(
    "patchSize 2x2 is not a multiple of 4",
  );
  const model = createModel(convMae, config);
  expect(() => model.encode(samples(1, createRandom(1)), { pool: "cls+mean" })).toThrow("no class token");
  expect(model.encode(samples(1, createRandom(1)), { pool: "tokens" }).shape).toEqual([1, 6, 8]);
});
