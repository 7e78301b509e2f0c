import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  decodeAll,
  encodeVisible,
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
import { type MaeBatch, type MaeConfig, type MaeParams, mae } from "./mae.js";

const config = {
  imageSize: [12, 16],
  patchSize: [4, 4],
  channels: 2,
  width: 16,
  depth: 2,
  heads: 2,
  decoderWidth: 12,
  decoderDepth: 1,
  decoderHeads: 3,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof mae>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(12 * 16 * 2),
    height: 12,
    width: 16,
    channels: 2,
  }));

await contractSuite({
  method: mae,
  config,
  samples,
  features: 16,
  overfits: 0.7,
  withNoiseAtVisible(model, batch, random) {
    const { params, config } = model as Model<MaeConfig, ImageSample, MaeBatch, MaeParams>;
    const { images, mask } = batch as MaeBatch;
    const patches = patchify(images, config.patchSize);
    const prediction = decodeAll(params, config, encodeVisible(params, config, patches, mask), mask);
    const visible = tf.sub(1, tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]));
    const noise = tf.mul(tf.tensor(random.normals(prediction.size), prediction.shape), visible);
    return maskedMse(tf.add(prediction, noise), pixelTarget(config, patches), mask);
  },
});

await onEveryEngine("mae", () => {
  it("does not let hidden pixels reach the encoder", () => {
    const model = createModel(mae, config);
    const batch = model.prepare(samples(1, createRandom(1)), createRandom(2));
    const patches = patchify(batch.images, model.config.patchSize);
    const hidden = tf.tensor3d(maskedFlags(batch.mask), [1, batch.mask.tokens, 1]);
    const changed = tf.add(patches, tf.mul(hidden, 7)) as tf.Tensor3D;
    const [before, after] = [patches, changed].map((p) =>
      encodeVisible(model.params, model.config, p, batch.mask).dataSync(),
    );
    expect(after).toEqual(before);
  });

  it("shows hidden patches gray, visible ones as they are, and no true statistics unless asked", () => {
    const model = createModel(mae, config);
    const [sample] = samples(1, createRandom(1));
    const bright = { ...sample!, pixels: sample!.pixels.map((value) => value * 0.5) };
    const shown = (denormalise: "visible" | "truth") =>
      model.reconstruct([bright], createRandom(3), { denormalise });
    const { original, masked, combined, note } = shown("visible");
    expect(note).toContain("estimated from visible");
    const [o, m, c] = [original, masked, combined].map((t) => t.dataSync());
    const gray = Array.from(m!, (value, i) => value === 0.5 && o![i] !== 0.5);
    expect(gray.filter(Boolean).length).toBe((12 * 16 * 2 * 3) / 4);
    o!.forEach((value, i) => {
      expect(value).toBeCloseTo(bright.pixels[i]!, 5);
      if (!gray[i]) expect(c![i]).toBeCloseTo(value, 5);
    });
    expect(shown("truth").note).toContain("taken from the truth");
    // Changing hidden pixels must not change what is drawn from visible statistics.
    const altered = {
      ...bright,
      pixels: Float32Array.from(bright.pixels, (value, i) => (gray[i] ? 1 - value : value)),
    };
    const other = model.reconstruct([altered], createRandom(3)).combined.dataSync();
    for (const [i, value] of c!.entries()) expect(other[i]).toBeCloseTo(value, 5);
  });
});

it("names a size that patches do not divide, a key that does not exist and samples of another size", () => {
  expect(() => createModel(mae, { ...config, imageSize: [10, 16] })).toThrow(
    "imageSize 10x16 is not a multiple of patchSize 4x4",
  );
  const misspelt = { ...config, maskratio: 0.5 };
  expect(() => createModel(mae, misspelt)).toThrow("maskratio");
  const model = createModel(mae, { ...config, imageSize: [16, 16] });
  expect(() => model.prepare(samples(1, createRandom(1)), createRandom(2))).toThrow(
    "expected 16x16 pixels of 2 channels, got 12x16",
  );
});
