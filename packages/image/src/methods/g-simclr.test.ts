import * as tf from "@tensorflow/tfjs";
import {
  BadSampleError,
  createModel,
  createRandom,
  type Dataset,
  type Random,
  resolveConfig,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { flipHorizontal } from "../augment/augmentations.js";
import { arrayImages } from "../read/array-images.js";
import type { ImageSample } from "../sample.js";
import { convDae } from "./conv-dae.js";
import { gSimclr, orderByRank } from "./g-simclr.js";

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(64),
    height: 8,
    width: 8,
    channels: 1,
  }));
const input = { imageSize: 8, channels: 1, mean: [0.5], std: [0.25] };
const dae = { ...input, widths: [4, 6] };
const config = {
  ...input,
  backbone: "vit",
  patchSize: 4,
  width: 8,
  depth: 1,
  heads: 2,
  epsilon: 0.01,
  projectionWidths: [8, 6],
  temperature: 0.5,
} as const;

await contractSuite({
  method: convDae,
  config: dae,
  samples,
  features: 6,
  overfits: 0.7,
  differenceStep: 1e-4,
});

await contractSuite({
  method: gSimclr,
  config,
  samples,
  features: 8,
  overfits: 0.8,
  differenceStep: 3e-4,
  teachers: () => ({ prior: createModel(convDae, dae) as never }),
});

await onEveryEngine("conv-dae", () => {
  it("scores the clean picture, whatever the noise on its input", () => {
    const model = createModel(convDae, { ...dae, noise: 0.5 });
    const [sample] = samples(1, createRandom(1));
    const batch = model.prepare([sample!], createRandom(2));
    expect([...batch.images.dataSync()]).toEqual([...sample!.pixels]);
    const { original, masked, reconstructed } = model.reconstruct([sample!], createRandom(2));
    expect([...original.dataSync()]).toEqual([...sample!.pixels]);
    expect(tf.max(tf.abs(tf.sub(masked, tf.add(batch.images, batch.noise)))).dataSync()[0]).toBeLessThan(
      1e-6,
    );
    expect(reconstructed.shape).toEqual([1, 8, 8, 1]);
    const deviation = Math.sqrt(tf.mean(tf.square(batch.noise)).dataSync()[0]!);
    expect(Math.abs(deviation - 0.5)).toBeLessThan(0.15);
  });
});

describe("g-simclr", () => {
  beforeAll(() => tf.setBackend("cpu"));

  it("orders by rank within the cluster, then by cluster", () => {
    expect(orderByRank(Int32Array.of(1, 0, 1, 2, 1, 0))).toEqual([1, 0, 3, 5, 2, 4]);
  });

  const levels = [0.1, 0.5, 0.9];
  const pictures = (): Dataset<ImageSample> => {
    const random = createRandom(4);
    const pixels = Float32Array.from({ length: 12 * 64 }, (_, i) => {
      const level = levels[Math.floor(i / 64 / 4)]!; // four pictures of each level, one after the other
      return level + 0.02 * random.normal();
    });
    return arrayImages(pixels, { height: 8, width: 8 });
  };
  const teachers = () => ({ prior: createModel(convDae, dae) as never });

  it("gives batches without two pictures of one cluster where clusters are alike in size", async () => {
    const arrangement = { batchSize: 3, random: createRandom(1), teachers: teachers() };
    const order = await gSimclr.arrange(resolveConfig(gSimclr, config), pictures(), arrangement);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    for (let batch = 0; batch < 4; batch++) {
      const ofBatch = [...order.slice(3 * batch, 3 * batch + 3)];
      expect(new Set(ofBatch.map((index) => Math.floor(index / 4)))).toEqual(new Set([0, 1, 2]));
    }
    const again = await gSimclr.arrange(resolveConfig(gSimclr, config), pictures(), {
      ...arrangement,
      random: createRandom(1),
    });
    expect(again).toEqual(order);
  });

  it("leaves what cannot be read to the end", async () => {
    const whole = pictures();
    const broken: Dataset<ImageSample> = {
      ...whole,
      get: async (index) => {
        if (index === 5) throw new BadSampleError("5", "broken");
        return whole.get(index);
      },
    };
    const arrangement = { batchSize: 3, random: createRandom(1), teachers: teachers() };
    const order = await gSimclr.arrange(resolveConfig(gSimclr, config), broken, arrangement);
    expect(order.at(-1)).toBe(5);
    expect(new Set(order).size).toBe(12);
  });

  describe("views", () => {
    const colour = (random: Random): ImageSample => ({
      pixels: random.uniforms(8 * 8 * 3),
      height: 8,
      width: 8,
      channels: 3,
    });
    const viewsOf = (options: object, seed: number) => {
      const model = createModel(
        gSimclr,
        { ...config, channels: 3, mean: [0], std: [1], ...options },
        { teachers: teachers() },
      );
      const sample = colour(createRandom(1));
      const { views } = model.prepare([sample, sample], createRandom(seed));
      const flat = tf.split(views, 4).map((view) => [...view.dataSync()]);
      return { sample, flat };
    };

    it("of one picture twice in a batch differ by no more than a flip", () => {
      for (let seed = 0; seed < 8; seed++) {
        const { flat } = viewsOf({ jitter: 1 }, seed);
        for (const view of [0, 2]) {
          const first = { ...colour(createRandom(1)), pixels: Float32Array.from(flat[view]!) };
          expect([flat[view]!, [...flipHorizontal(first).pixels]]).toContainEqual(flat[view + 1]);
        }
      }
    });

    it("keep their colour unless it is to be dropped", () => {
      const grays = (options: object) =>
        Array.from({ length: 20 }, (_, seed) => viewsOf(options, seed).flat[0]!).filter((view) =>
          view.every((value, i) => Math.abs(value - view[i - (i % 3)]!) < 1e-5),
        ).length;
      expect(grays({ jitter: 0 })).toBe(0);
      const dropped = grays({ jitter: 0, colourDrop: "gray" });
      expect(dropped > 3 && dropped < 17).toBe(true);
    });
  });
});
