import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  flatten,
  type Mask,
  patchify,
  type Random,
  rawTensor,
  supervisedContrastive,
  trainable,
  writeParameters,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { imageTensor } from "../batch.js";
import type { ImageSample } from "../sample.js";
import {
  encodeMixtures,
  largestScores,
  type MixedAeBatch,
  maskOfImages,
  mixedAe,
  mixPatches,
  recognitionLoss,
  sourcesOf,
} from "./mixed-ae.js";

const config = {
  imageSize: [8, 8],
  patchSize: [2, 2],
  channels: 1,
  width: 8,
  depth: 2,
  heads: 2,
  mlpRatio: 2,
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  decoderMlpRatio: 2,
  recognitionWidth: 6,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof mixedAe>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({ pixels: random.uniforms(64), height: 8, width: 8, channels: 1 }));

await contractSuite({
  method: mixedAe,
  config: { ...config, depth: 1, epsilon: 0.1 }, // as in saim.test.ts, for the class token
  samples,
  features: 8,
  overfits: 0.8,
  differenceStep: 3e-5, // which patches are looked at must not change
});

const numbers = z.array(z.number());
const recorded = z
  .object({
    params: z.record(z.string(), numbers),
    images: numbers,
    orders: numbers,
    sources: numbers,
    mixtures: numbers,
    pixels: z.number(),
    recognition: z.number(),
    homologous: z.number(),
    total: z.number(),
    grads: z.record(z.string(), numbers),
  })
  .parse(JSON.parse(readFileSync(new URL("../../test/fixtures/mixed-ae.json", import.meta.url), "utf8")));

/** The case of mixed-ae.py: four images, two mixtures. */
function recordedCase() {
  const model = createModel(mixedAe, config);
  const values = [...flatten(model.params)].map(
    ([path, { shape }]) => [path, rawTensor(Float32Array.from(recorded.params[path]!), shape)] as const,
  );
  writeParameters(model.params, new Map(values));
  const given = Array.from({ length: 4 }, (_, i) => ({
    pixels: Uint8Array.from(recorded.images.slice(64 * i, 64 * i + 64)),
    height: 8,
    width: 8,
    channels: 1,
  }));
  const images = imageTensor(model.config, given);
  return { model, batch: { images, count: 4, orders: Int32Array.from(recorded.orders) } };
}

const close = (values: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number) => {
  const scale = Math.max(...Array.from(wanted, Math.abs));
  const worst = Math.max(...Array.from(values, (value, i) => Math.abs(value - wanted[i]!)));
  expect(worst).toBeLessThan(tolerance * scale);
};

await onEveryEngine("mixed-ae beside its formulas in PyTorch", () => {
  it("mixes the same patches", () => {
    const { model, batch } = recordedCase();
    const sources = sourcesOf(batch.orders, 16, 2);
    expect([...sources]).toEqual(recorded.sources);
    const mixtures = mixPatches(patchify(batch.images, model.config.patchSize), sources);
    expect(mixtures.shape).toEqual([2, 16, 4]);
    close(mixtures.dataSync(), recorded.mixtures, 1e-6);
  });

  it("has the same loss terms and the same gradients", () => {
    const { model, batch } = recordedCase();
    const terms = model.loss(batch);
    for (const name of ["pixels", "recognition", "homologous", "total"] as const)
      close(terms[name]!.dataSync(), [recorded[name]], 2e-5);
    const variables = trainable(model.params);
    const { grads } = tf.variableGrads(
      () => mixedAe.loss(model.params, model.config, batch).total,
      [...variables.values()],
    );
    expect([...variables.keys()].sort()).toEqual(Object.keys(recorded.grads).sort());
    for (const [path, { name }] of variables) close(grads[name]!.dataSync(), recorded.grads[path]!, 1e-4);
  });
});

describe("mixing", () => {
  it("shows as many patches of each image of a group, each at its own place", () => {
    const model = createModel(mixedAe, { ...config, mixed: 4 });
    const batch = model.prepare(samples(8, createRandom(1)), createRandom(2));
    const sources = sourcesOf(batch.orders, 16, 4);
    for (const group of [0, 1]) {
      const own = [...sources.subarray(16 * group, 16 * group + 16)];
      for (const source of [0, 1, 2, 3]) expect(own.filter((s) => s === source)).toHaveLength(4);
    }
    expect([...sources.subarray(0, 16)]).not.toEqual([...sources.subarray(16)]);
    const mask = maskOfImages(batch.orders, 16, 4);
    const visible = (image: number, place: number, { restore, kept }: Mask) =>
      restore[image * 16 + place]! < kept;
    for (let image = 0; image < 8; image++)
      for (let place = 0; place < 16; place++)
        expect(visible(image, place, mask)).toBe(sources[16 * Math.floor(image / 4) + place] === image % 4);
  });

  it("fills the last mixture with the first images and pictures each image that was given once", () => {
    const model = createModel(mixedAe, config);
    const given = samples(3, createRandom(1));
    const batch = model.prepare(given, createRandom(2));
    expect(batch.images.shape[0]).toBe(4);
    expect(batch.images.slice([3], [1]).dataSync()).toEqual(batch.images.slice([0], [1]).dataSync());
    const { original, combined } = model.reconstruct(given, createRandom(2));
    expect(combined.shape).toEqual([3, 8, 8, 1]);
    const last = original.slice([2], [1]).dataSync();
    for (const [i, value] of last.entries()) expect(value).toBeCloseTo(given[2]!.pixels[i]!, 5);
  });

  it("names patches that images cannot share", () => {
    expect(() => createModel(mixedAe, { ...config, mixed: 3 })).toThrow(
      "16 patches cannot be shared by 3 images",
    );
  });
});

describe("homologous attention", () => {
  it("looks at the class token and the largest scores, ties at the last of them included", () => {
    // One head of width 1: queries 1 and -1, keys 0 (class token), 3, 1, 2, 2.
    const qkv = tf.tensor3d(
      [
        [1, 0, 0],
        [-1, 3, 0],
        [1, 1, 0],
        [1, 2, 0],
        [1, 2, 0],
      ].flat(),
      [1, 5, 3],
    );
    const looked = (seen: number) =>
      (largestScores(qkv, 1, seen).arraySync() as number[][][][])[0]![0]!.map((row) =>
        row.map((v) => Number(v === 0)),
      );
    expect(looked(2)[0]).toEqual([1, 1, 0, 1, 1]);
    expect(looked(1)[0]).toEqual([1, 1, 0, 0, 0]);
    expect(looked(1)[1]).toEqual([1, 0, 1, 0, 0]);
  });

  it("does not act in plain blocks", () => {
    const { params, config: complete } = createModel(mixedAe, config);
    const mixtures = tf.tensor3d(createRandom(1).normals(64), [1, 16, 4]);
    const sources = Int32Array.from({ length: 16 }, (_, i) => i % 2);
    const latent = (plainBlocks: number) =>
      encodeMixtures(params, { ...complete, plainBlocks }, mixtures, sources).latent.dataSync();
    expect(latent(2)).not.toEqual(latent(0));
    expect(
      encodeMixtures(params, { ...complete, plainBlocks: 2 }, mixtures, sources).homologous,
    ).toBeUndefined();
  });
});

it("recognises within each mixture as the supervised contrastive loss does", () => {
  const { params, config: complete } = createModel(mixedAe, config);
  const latent = tf.tensor3d(createRandom(1).normals(2 * 17 * 8), [2, 17, 8]);
  const batch: Pick<MixedAeBatch, "orders"> = { orders: createRandom(2).permutation(16) };
  const sources = Int32Array.from([
    ...sourcesOf(batch.orders, 16, 2),
    ...sourcesOf(createRandom(3).permutation(16), 16, 2),
  ]);
  const each = [0, 1].map((group) => {
    const tokens = latent.slice([group, 1, 0], [1, 16, 8]).reshape([16, 8]);
    const { weight, bias } = params.homologous_proj;
    const rows = tf.add(tf.matMul(tokens, weight, false, true), bias!).reshape([16, 1, 6]);
    const labels = sources.slice(16 * group, 16 * group + 16);
    return supervisedContrastive(rows, { labels, temperature: complete.temperature }).dataSync()[0]!;
  });
  const both = recognitionLoss(params, complete, latent, sources).dataSync()[0]!;
  expect(both).toBeCloseTo((each[0]! + each[1]!) / 2, 5);
});
