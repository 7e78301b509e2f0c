import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, maskedFlags, patchify, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { cubeOf } from "../batch.js";
import type { VideoSample } from "../sample.js";
import { encodeVisible, videoMae } from "./video-mae.js";

const config = {
  frames: 4,
  imageSize: [8, 12],
  tubeletSize: 2,
  patchSize: 4,
  channels: 2,
  width: 12,
  depth: 2,
  heads: 2,
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  layerScale: 0.5,
  maskRatio: 0.5,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof videoMae>>[1];

const shape = { frames: 4, height: 8, width: 12, channels: 2 };
const samples = (count: number, random: Random): VideoSample[] =>
  Array.from({ length: count }, () => ({ pixels: random.uniforms(4 * 8 * 12 * 2), ...shape }));

await contractSuite({ method: videoMae, config, samples, features: 12, overfits: 0.7 });

await onEveryEngine("video-mae", () => {
  it("does not let hidden pixels reach the encoder", () => {
    const model = createModel(videoMae, config);
    const { clips, mask } = model.prepare(samples(2, createRandom(1)), createRandom(2));
    const cubes = patchify(clips, cubeOf(model.config));
    const hidden = tf.tensor3d(maskedFlags(mask), [2, mask.tokens, 1]);
    const changed = tf.add(cubes, tf.mul(hidden, 7)) as tf.Tensor3D;
    const [before, after] = [cubes, changed].map((p) =>
      encodeVisible(model.params, model.config, p, mask).dataSync(),
    );
    expect(after).toEqual(before);
  });

  it("averages features over the views of a sample", () => {
    const model = createModel(videoMae, config);
    const [a, b] = samples(2, createRandom(1));
    const both = Float32Array.from([...a!.pixels, ...b!.pixels]);
    const joint = model.encode([{ ...shape, pixels: both, views: 2 }]).dataSync();
    const apart = tf.mean(model.encode([a!, b!]), 0).dataSync();
    for (const [i, value] of apart.entries()) expect(joint[i]).toBeCloseTo(value, 5);
    expect(() => model.prepare([{ ...shape, pixels: both, views: 2 }], createRandom(1))).toThrow(
      "training sees one view",
    );
  });

  it("shows hidden cubes gray, visible ones as they are, and no true statistics unless asked", () => {
    const model = createModel(videoMae, config);
    const [sample] = samples(1, createRandom(1));
    const dark = { ...sample!, pixels: sample!.pixels.map((value) => value * 0.5) };
    const shown = (clip: VideoSample, denormalise?: "truth") => {
      const { original, masked, reconstructed, note } = model.reconstruct([clip], createRandom(3), {
        denormalise,
      });
      const [o, m, r] = [original, masked, reconstructed].map((t) => t.dataSync());
      return { o: o!, m: m!, r: r!, note };
    };
    const { o, m, r, note } = shown(dark);
    const gray = Array.from(m, (value, i) => value === 0.5 && o[i] !== 0.5);
    expect(gray.filter(Boolean).length).toBe((4 * 8 * 12 * 2) / 2);
    for (const [i, value] of dark.pixels.entries()) {
      expect(o[i]).toBeCloseTo(value, 5);
      if (!gray[i]) expect(r[i]).toBeCloseTo(value, 5);
    }
    expect(note).toContain("estimated from visible");
    expect(shown(dark, "truth").note).toContain("taken from the truth");
    // Changing hidden pixels must not change what is drawn from visible statistics.
    const altered = {
      ...dark,
      pixels: Float32Array.from(dark.pixels, (value, i) => (gray[i] ? 1 - value : value)),
    };
    const other = shown(altered).r;
    for (const [i, value] of r.entries()) expect(other[i]).toBeCloseTo(value, 5);
  });
});

it("names sizes that cubes do not divide and clips of another shape", () => {
  expect(() => createModel(videoMae, { ...config, frames: 5 })).toThrow(
    "clips of 5x8x12 are not a multiple of cubes of 2x4x4",
  );
  const model = createModel(videoMae, { ...config, frames: 6 });
  expect(() => model.prepare(samples(1, createRandom(1)), createRandom(2))).toThrow(
    "expected clips of 6 frames, 8x12 pixels, 2 channels, got 4 frames",
  );
  expect(() => model.encode([{ ...samples(1, createRandom(1))[0]!, frames: 6 }])).toThrow("video batch");
  expect(() => createModel(videoMae, config).encode(samples(1, createRandom(1)), { pool: "cls" })).toThrow(
    "no class token",
  );
});
