import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, type Random } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { expect, it } from "vitest";
import type { VideoSample } from "../sample.js";
import { videoVit } from "./video-vit.js";

const config = {
  ...{ frames: 2, imageSize: 8, tubeletSize: 2, patchSize: 4, channels: 1, width: 12, depth: 2, heads: 2 },
  ...{
    classes: 3,
    headScale: 1,
    dropPath: 0.2,
    smoothing: 0.1,
    mixup: 0.8,
    cutmix: 1,
    mean: [0.5],
    std: [0.25],
  },
};

const shape = { frames: 2, height: 8, width: 8, channels: 1 };
const samples = (count: number, random: Random): VideoSample[] =>
  Array.from({ length: count }, (_, i) => ({ pixels: random.uniforms(128), ...shape, label: i % 3 }));

for (const pool of ["mean", "first"] as const)
  await contractSuite({ method: videoVit, config: { ...config, pool }, samples, features: 12 });

it("cuts the same box from all frames", () => {
  const model = createModel(videoVit, { ...config, mixup: 0, smoothing: 0 });
  const still = (level: number, label: number) => ({
    pixels: new Float32Array(128).fill(level),
    ...shape,
    label,
  });
  let cut = false;
  for (let seed = 0; seed < 8; seed++) {
    const { clips, targets } = model.prepare([still(0, 0), still(1, 1)], createRandom(seed));
    const [first, second] = tf.unstack(clips.slice([0], [1]).squeeze([0]), 0);
    expect(second!.dataSync()).toEqual(first!.dataSync());
    const share = tf.mean(tf.greater(first!, 0).toFloat()).dataSync()[0]!; // of the other clip
    expect(targets.dataSync()[1]).toBeCloseTo(share, 5);
    cut ||= share > 0 && share < 1;
  }
  expect(cut).toBe(true);
});

it("averages class probabilities, not logits, over views", () => {
  const model = createModel(videoVit, { ...config, headScale: 100 });
  const { params, config: complete } = model;
  const [a, b] = samples(2, createRandom(1));
  const pixels = Float32Array.from([...a!.pixels, ...b!.pixels]);
  const joint = videoVit.logits(params, complete, [{ ...shape, pixels, views: 2 }]);
  const expected = tf.mean(tf.softmax(videoVit.logits(params, complete, [a!, b!])), 0).dataSync();
  const got = tf.softmax(joint).dataSync();
  for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 5);
});
