import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, type Random, supervisedContrastive } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { beforeAll, describe, expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { selfCon } from "./self-con.js";

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, (_, i) => ({
    pixels: random.uniforms(256),
    height: 16,
    width: 16,
    channels: 1,
    label: i % 3,
  }));
const config = {
  imageSize: 16,
  channels: 1,
  mean: [0.5],
  std: [0.25],
  backbone: "resnet18",
  stem: "full-resolution",
  stemWidth: 2,
  projectionWidth: 6,
  temperature: 0.5,
} as const;

await contractSuite({
  method: selfCon,
  config,
  samples,
  features: 16,
  overfits: 0.95,
  steps: 8,
  lr: 1e-2,
  differenceStep: 3e-5,
});

describe("self-con", () => {
  beforeAll(() => tf.setBackend("cpu"));

  const given = (labels: number[]) =>
    samples(labels.length, createRandom(1)).map((sample, i) => ({ ...sample, label: labels[i]! }));
  const terms = (labels: number[], options = {}) => {
    const model = createModel(selfCon, { ...config, ...options });
    const { total, realness, generator } = model.loss(model.prepare(given(labels), createRandom(2)));
    return [total, realness, generator].map((term) => term!.dataSync()[0]!) as [number, number, number];
  };

  it("tells real from synthetic, and generators from each other", () => {
    const [total, realness, generator] = terms([0, 1, 2, 1], { generatorWeight: 0.5 });
    expect(total).toBeCloseTo(realness + 0.5 * generator, 5);
    expect(terms([0, 2, 1, 2])[1]).toBeCloseTo(realness, 5); // which generator it was does not matter
    expect(terms([0, 1, 1, 1])[2]).not.toBeCloseTo(generator, 3);
    expect(terms([3, 1, 2, 1], { realClass: 3 })[0]).toBeCloseTo(realness + generator, 5);
  });

  it("has no second term in a batch of real pictures", () => {
    const [total, realness, generator] = terms([0, 0, 0]);
    expect([total, generator]).toEqual([realness, 0]);
    expect(realness).toBeGreaterThan(0);
  });

  it("takes both exits of a picture as positives of each other", () => {
    const features = tf.tensor3d(createRandom(1).normals(2 * 2 * 6), [2, 2, 6]);
    const apart = supervisedContrastive(features, { labels: Int32Array.of(0, 1), temperature: 0.5 });
    const alone = supervisedContrastive(features, { temperature: 0.5 });
    expect(apart.dataSync()[0]).toBeCloseTo(alone.dataSync()[0]!, 6);
  });

  it("refuses pictures without a class", () => {
    const model = createModel(selfCon, config);
    expect(() => model.prepare(given([0, -1]), createRandom(1))).toThrow(
      "put real pictures and those of each",
    );
  });

  it("sees every picture at full resolution, half of the time degraded", () => {
    const view = selfCon.trainingView(selfCon.schema.parse({ ...config, imageSize: 8 }));
    expect(view.fullResolution).toBe(true);
    const pixels = Uint8Array.from({ length: 20 * 30 }, (_, i) => (i * 37) % 251);
    const picture = { pixels, height: 20, width: 30, channels: 1 };
    const rows = new Set<string>();
    for (let y = 0; y < 20; y++)
      for (let x = 0; x + 8 <= 30; x++) rows.add([...pixels.subarray(y * 30 + x, y * 30 + x + 8)].join());
    for (let x = 0; x < 30; x++)
      for (let y = 0; y + 8 <= 20; y++)
        rows.add(Array.from({ length: 8 }, (_, i) => pixels[(y + i) * 30 + x]!).join());
    const random = createRandom(5);
    let untouched = 0;
    for (let i = 0; i < 100; i++) {
      const made = [...view(picture, random).pixels.subarray(0, 8)];
      if (rows.has(made.join()) || rows.has(made.reverse().join())) untouched++;
    }
    expect(untouched > 35 && untouched < 65).toBe(true);
  });
});
