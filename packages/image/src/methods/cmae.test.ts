import * as tf from "@tensorflow/tfjs";
import {
  applyBufferUpdates,
  createModel,
  createRandom,
  disposeAll,
  type ModelOf,
  maskedFlags,
  maskedMse,
  normaliseJoint,
  patchify,
  type Random,
  trainable,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { withViews } from "../views.js";
import { type CmaeBatch, cellMask, cmae, decode, encodeOnline } from "./cmae.js";

const config = {
  imageSize: [8, 12],
  patchSize: [2, 2],
  channels: 2,
  width: 8,
  depth: 1,
  heads: 2,
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  featureDepth: 1,
  projectionHidden: 8,
  projectionWidth: 6,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof cmae>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(8 * 12 * 2),
    height: 8,
    width: 12,
    channels: 2,
  }));

const biasesBeforeNorm = Object.fromEntries(
  ["projector.fc0.bias", "head.predictor.fc0.bias"].map((path) => [path, "a batch norm takes it out"]),
);

await contractSuite({
  method: cmae,
  // Averages of features hardly differ at first: a batch norm would bend them within a finite difference.
  config: { ...config, temperature: 1, epsilon: 0.1 },
  samples,
  features: 8,
  overfits: 0.8,
  differenceStep: 1e-4,
  unreached: biasesBeforeNorm,
  withNoiseAtVisible(model, batch, random) {
    const { params, config: complete, loss } = model as ModelOf<typeof cmae>;
    const { images, mask } = batch as CmaeBatch;
    const latent = encodeOnline(params, complete, images, mask);
    const prediction = decode(params.pixel_decoder, complete, latent, mask);
    const visible = tf.sub(1, tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]));
    const noise = tf.mul(tf.tensor(random.normals(prediction.size), prediction.shape), visible);
    const target = normaliseJoint(patchify(images, complete.patchSize));
    const { total, pixels } = loss(batch as CmaeBatch);
    return tf.add(tf.sub(total, pixels!), maskedMse(tf.add(prediction, noise), target, mask));
  },
});

await onEveryEngine("cmae", () => {
  it("contrasts with the second view and predicts the first", () => {
    const model = createModel(cmae, config);
    const [first, second] = [samples(4, createRandom(1)), samples(4, createRandom(2))];
    const terms = (given: ImageSample[]) => {
      const { pixels, contrast } = model.loss(model.prepare(given, createRandom(3)));
      return [pixels!.dataSync()[0]!, contrast!.dataSync()[0]!];
    };
    const alone = terms(first);
    const twice = terms(first.map((sample) => withViews([sample, sample])));
    const other = terms(first.map((sample, i) => withViews([sample, second[i]!])));
    expect(twice).toEqual(alone);
    expect(other[0]).toBe(alone[0]);
    expect(Math.abs(other[1]! - alone[1]!)).toBeGreaterThan(1e-3);
  });

  it("averages parameters into the momentum branch, which no gradient moves and whose running statistics are its own", () => {
    const model = createModel(cmae, { ...config, momentum: 0.75 });
    const { params } = model;
    expect([...trainable(params).keys()].filter((path) => path.startsWith("target_"))).toEqual([]);
    const batch = model.prepare(samples(4, createRandom(1)), createRandom(2));
    applyBufferUpdates(() => disposeAll(model.loss(batch)));
    const statistics = () => params.target_projector.bn0.running_mean.dataSync().slice();
    const before = statistics();
    expect(before.some((value) => value !== 0)).toBe(true);
    params.backbone.cls_token.assign(tf.ones([1, 1, 8]));
    params.projector.fc1.weight.assign(tf.ones([6, 8]));
    params.target_backbone.cls_token.assign(tf.zeros([1, 1, 8]));
    params.target_projector.fc1.weight.assign(tf.zeros([6, 8]));
    cmae.afterUpdate(params, model.config);
    expect(params.target_backbone.cls_token.dataSync()).toEqual(new Float32Array(8).fill(0.25));
    expect(params.target_projector.fc1.weight.dataSync()).toEqual(new Float32Array(48).fill(0.25));
    expect(statistics()).toEqual(before);
  });
});

it("hides squares of patches and keeps visible ones in the order of the image", () => {
  const { config: complete } = createModel(cmae, config); // 4 x 6 patches, 2 x 3 squares
  const mask = cellMask(complete, Float32Array.of(0.5, 0.9, 0.1, 0.7, 0.6, 0.8), 1);
  expect([...mask.keep]).toEqual([0, 1, 4, 5, 6, 7, 10, 11]);
  expect(() => createModel(cmae, { ...config, cellSize: 4 })).toThrow(
    "cellSize 4 does not divide a grid of 4x6 patches",
  );
});

it("cuts both views from one crop, the second less than the shift beside the first", () => {
  const still = { flip: 0, jitter: 0, gray: 0, blur: 0, shift: 0.25 };
  const { config: complete } = createModel(cmae, {
    ...config,
    ...still,
    imageSize: [8, 10],
    cellSize: 1,
  });
  const picture: ImageSample = {
    pixels: Uint16Array.from(createRandom(1).uniforms(20 * 26 * 2), (value) => 65535 * value),
    height: 20,
    width: 26,
    channels: 2,
  };
  const view = cmae.trainingView(complete);
  const offsets = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const [online, target] = view(picture, createRandom(seed)).views!;
    expect([online!.height, online!.width, target!.height, target!.width]).toEqual([8, 10, 8, 10]);
    const overlaps = (top: number, left: number) =>
      Array.from({ length: (8 - top) * (10 - left) }, (_, i) => {
        const [y, x] = [Math.floor(i / (10 - left)), i % (10 - left)];
        return online!.pixels[((y + top) * 10 + x + left) * 2] === target!.pixels[(y * 10 + x) * 2];
      }).every(Boolean);
    for (let at = 0; at < 80; at++)
      if (overlaps(Math.floor(at / 10), at % 10)) offsets.add(`${Math.floor(at / 10)},${at % 10}`);
  }
  expect([...offsets].sort()).toEqual(["0,0", "0,1", "0,2", "1,0", "1,1", "1,2"]); // below 8/4 and 10/4, rounded
});
