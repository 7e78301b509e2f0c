import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  encodeVisible,
  type Model,
  maskedFlags,
  maskedMse,
  patchify,
  type Random,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AudioSample } from "../sample.js";
import {
  type AudioMaeBatch,
  type AudioMaeConfig,
  type AudioMaeParams,
  audioMae,
  decodeSpectrogram,
  patchTarget,
} from "./audio-mae.js";

const config = {
  inputSize: [16, 8],
  patchSize: [2, 2],
  width: 16,
  depth: 1,
  heads: 2,
  decoderWidth: 16,
  decoderDepth: 2,
  decoderHeads: 2,
  mean: -4,
  std: 2,
} satisfies Parameters<typeof createModel<typeof audioMae>>[1];

const samples = (count: number, random: Random): AudioSample[] =>
  Array.from({ length: count }, () => ({
    values: random.normals(16 * 8).map((value) => 4 * value - 4),
    frames: 16,
    bands: 8,
    channels: 1,
  }));

const small = { ...config, patchSize: [4, 2], width: 8, decoderWidth: 8 } satisfies typeof config; // 4 x 4 patches
const variants = [
  small,
  { ...small, features: "all", decoder: "local", masking: "time-frequency", windowSize: [2, 2] },
] satisfies (typeof config & Parameters<typeof createModel<typeof audioMae>>[1])[];

for (const variant of variants)
  await contractSuite({
    method: audioMae,
    config: variant,
    samples,
    features: variant === small ? 4 * 8 : 8,
    overfits: 0.8,
    withNoiseAtVisible(model, batch, random) {
      const { params, config } = model as Model<AudioMaeConfig, AudioSample, AudioMaeBatch, AudioMaeParams>;
      const { spectrograms, mask } = batch as AudioMaeBatch;
      const patches = patchify(spectrograms, config.patchSize);
      const prediction = decodeSpectrogram(
        params,
        config,
        encodeVisible(params, config, patches, mask),
        mask,
      );
      const visible = tf.sub(1, tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]));
      const noise = tf.mul(tf.tensor(random.normals(prediction.size), prediction.shape), visible);
      return maskedMse(tf.add(prediction, noise), patchTarget(config, patches), mask);
    },
  });

await onEveryEngine("audio-mae", () => {
  it("hides whole time steps and bands where it is told to, time alone with a frequency ratio of 0", () => {
    const model = createModel(audioMae, {
      ...config,
      masking: "time-frequency",
      timeMaskRatio: 0.5,
      frequencyMaskRatio: 0,
    });
    const { mask } = model.prepare(samples(1, createRandom(1)), createRandom(2));
    const flags = [...maskedFlags(mask)];
    const steps = Array.from({ length: 8 }, (_, t) => flags.slice(4 * t, 4 * t + 4).join(""));
    expect(steps.filter((step) => step === "1111")).toHaveLength(4);
    expect(steps.filter((step) => step === "0000")).toHaveLength(4);
  });

  it("keeps tokens of the local decoder from each other that the shift alone brought together", () => {
    const model = createModel(audioMae, { ...config, decoder: "local", windowSize: [4, 4] });
    const { spectrograms, mask } = model.prepare(samples(1, createRandom(1)), createRandom(2));
    const latent = encodeVisible(model.params, model.config, patchify(spectrograms, [2, 2]), mask);
    const first = Math.min(...mask.keep);
    expect(first).toBeLessThan(16); // in the first window of two, rows 0 to 3 of 8
    const at = tf.tensor1d([1 + mask.keep.indexOf(first)], "int32");
    const nudge = tf.oneHot(at, latent.shape[1]).reshape([1, latent.shape[1], 1]);
    const [before, after] = [latent, tf.add(latent, nudge) as tf.Tensor3D].map((tokens) =>
      decodeSpectrogram(model.params, model.config, tokens, mask).dataSync(),
    );
    const changed = Array.from({ length: 32 }, (_, token) =>
      [0, 1, 2, 3].some((i) => Math.abs(after![4 * token + i]! - before![4 * token + i]!) > 1e-6),
    );
    expect(changed.slice(16, 24)).toContain(true); // rows 4 and 5, through the shifted window of rows 2 to 5
    expect(changed.slice(24)).not.toContain(true); // rows 6 and 7 lie beside rows 0 and 1 by the shift only
  });

  it("takes the mean of recorded time for each frequency, whatever the padding is", () => {
    const model = createModel(audioMae, config);
    const [sample] = samples(1, createRandom(1));
    const short = { ...sample!, recorded: 5 }; // three of eight time steps of patches
    const tokens = model.encode([short], { pool: "tokens" }).arraySync() as number[][][]; // time first, four bands
    const features = model.encode([short]).arraySync() as number[][];
    expect(features[0]).toHaveLength(4 * 16);
    for (const [band, channel] of [
      [0, 3],
      [3, 15],
    ] as const) {
      const mean = [0, 1, 2].reduce((sum, time) => sum + tokens[0]![4 * time + band]![channel]! / 3, 0);
      expect(features[0]![16 * band + channel]).toBeCloseTo(mean, 5);
    }
    const both = model.encode([short], { pool: "cls+mean" });
    expect(both.shape).toEqual([1, 16 + 64]);
  });

  it("shows visible patches as they are and draws nothing from hidden ones unless asked", () => {
    const model = createModel(audioMae, config);
    const [sample] = samples(1, createRandom(1));
    const shown = (of: AudioSample, denormalise: "visible" | "truth") =>
      model.reconstruct([of], createRandom(3), { denormalise });
    const { original, combined, hidden, note } = shown(sample!, "visible");
    expect(note).toContain("estimated from visible");
    const [o, c, h] = [original, combined, hidden].map((tensor) => tensor.dataSync());
    expect([...h!].filter((value) => value === 1)).toHaveLength(26 * 4);
    for (const [i, value] of o!.entries()) {
      expect(value).toBeCloseTo(sample!.values[i]!, 4);
      if (h![i] === 0) expect(c![i]).toBeCloseTo(value, 4);
    }
    const altered = { ...sample!, values: sample!.values.map((value, i) => (h![i] ? value + 3 : value)) };
    const other = shown(altered, "visible").combined.dataSync();
    for (const [i, value] of c!.entries()) expect(other[i]).toBeCloseTo(value, 4);
    expect(shown(sample!, "truth").note).toContain("taken from the truth");
  });
});

it("names a size that patches do not divide, windows that do not, and samples of another size", () => {
  expect(() => createModel(audioMae, { ...config, inputSize: [15, 8] })).toThrow(
    "inputSize 15x8 is not a multiple of patchSize 2x2",
  );
  const model = createModel(audioMae, { ...config, inputSize: [32, 8] });
  expect(() => model.prepare(samples(1, createRandom(1)), createRandom(2))).toThrow(
    "expected 32 frames of 8 bands, 1 channels, got 16 of 8",
  );
  const odd = createModel(audioMae, { ...config, decoder: "local", windowSize: [3, 4] });
  expect(() => odd.reconstruct(samples(1, createRandom(1)), createRandom(2))).toThrow(
    "windows of 3x4 do not divide a grid of 8x4",
  );
});
