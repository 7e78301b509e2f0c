import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { embedMavil, mavil, mavilContrast, mavilTarget } from "./mavil.js";
import { mavilFeatures } from "./mavil-features.js";

const sizes = {
  modalities: {
    video: { size: [4, 4, 4], patch: [2, 2, 2], channels: 2, maskRatio: 0.5 },
    audio: { size: [4, 6], patch: [2, 2], maskRatio: 0.5 },
  },
  ...{ width: 8, depth: 1, fusionDepth: 1, heads: 2, hidden: 12 },
  ...{ decoderWidth: 8, decoderDepth: 1, decoderHeads: 2, decoderHidden: 12 },
  ...{ projectorHidden: 8, projectorWidth: 6 },
} as const;

const samples = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      video: { values: random.normals(128), shape: [4, 4, 4, 2] },
      audio: { values: random.normals(24), shape: [4, 6, 1] },
    },
  }));

const without = (name: string, { parts }: AlignedSample): AlignedSample => ({
  parts: Object.fromEntries(Object.entries(parts).filter(([own]) => own !== name)),
});

const values = (terms: object) =>
  Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, (term as tf.Tensor).dataSync()[0]!]));

await contractSuite({
  method: mavil,
  config: sizes,
  samples,
  features: 8,
  overfits: 0.9,
  steps: 20,
  lr: 1e-2,
});
await contractSuite({
  method: mavilFeatures,
  config: sizes,
  samples,
  teachers: () => ({ teacher: createModel(mavil, sizes, { seed: 9 }) }),
  features: 8,
  overfits: 0.9,
  steps: 20,
  lr: 1e-2,
});

const recorded = JSON.parse(
  readFileSync(new URL("../../test/fixtures/contrasts.json", import.meta.url), "utf8"),
) as {
  readonly mavilContrast: { readonly terms: Record<string, number>; readonly gradients: number[][] };
  readonly mavilTarget: number[];
};

const wave = (shape: number[], seed: number) => {
  const count = shape.reduce((a, b) => a * b, 1);
  const at = (_: unknown, i: number) => Math.sin(1.3 * i * (1 + 0.1 * seed) + 0.7 * seed);
  return tf.tensor(Array.from({ length: count }, at), shape);
};

await onEveryEngine("mavil", () => {
  it("has the contrasts and gradients that PyTorch computes from their formulas", () => {
    const present = { video: Float32Array.of(1, 1, 1), audio: Float32Array.of(1, 1, 1) };
    const contrast = (video: tf.Tensor, audio: tf.Tensor, video2: tf.Tensor, audio2: tf.Tensor) =>
      mavilContrast({ video, audio }, { video: video2, audio: audio2 }, present, {
        interTemperature: 0.1,
        intraTemperature: 0.5,
      });
    tf.tidy(() => {
      const inputs = [0, 1, 2, 3].map((seed) => wave([3, 4], seed)) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const { terms, gradients } = recorded.mavilContrast;
      const ours = values(contrast(...inputs));
      for (const name of ["inter", "intra"]) expect(ours[name]).toBeCloseTo(terms[name]!, 4);
      const slopes = tf.grads((...given: tf.Tensor[]) => {
        const { inter, intra } = contrast(...(given as typeof inputs));
        return tf.add(inter, intra);
      })(inputs);
      slopes.forEach((slope, i) => {
        slope.dataSync().forEach((value, j) => {
          expect(value).toBeCloseTo(gradients[i]![j]!, 4);
        });
      });
    });
  });

  it("predicts patches with their own mean and unbiased deviation taken out", () => {
    tf.tidy(() => {
      const modality = { size: [6, 8], patch: [2, 2], channels: 1, maskRatio: 0.5, weight: 1 };
      const input = wave([2, 6, 8, 1], 5);
      const target = mavilTarget(modality, input, { standardise: true });
      target.dataSync().forEach((value, i) => {
        expect(value).toBeCloseTo(recorded.mavilTarget[i]!, 4);
      });
    });
  });

  it("weighs its terms, and draws the two masks of a view apart", () => {
    const given = { interWeight: 0.3, intraWeight: 0.7 };
    const model = createModel(mavil, { ...sizes, ...given }, { seed: 1 });
    const batch = model.prepare(samples(3, createRandom(2)), createRandom(3));
    const terms = model.loss(batch);
    const { total, video, audio, inter, intra } = values(terms);
    expect(total).toBeCloseTo(video! + audio! + 0.3 * inter! + 0.7 * intra!, 4);
    expect(batch.secondMasks.video!.keep).not.toEqual(batch.masks.video!.keep);
    disposeAll([terms, batch]);
    model.dispose();
  });

  it("scores a sample that lacks a modality as if that modality did not exist", () => {
    const model = createModel(mavil, sizes, { seed: 1 });
    const [one, two, three] = samples(3, createRandom(1)) as [AlignedSample, AlignedSample, AlignedSample];
    const lossOf = (junk: number) => {
      const audio = { values: new Float32Array(24).fill(junk), shape: [4, 6, 1] };
      const filled = { parts: { ...three.parts, audio } };
      const batch = model.prepare([one, two, without("audio", three)], createRandom(2));
      const { inputs, ...rest } = model.prepare([one, two, filled], createRandom(2));
      const terms = model.loss({ ...batch, inputs });
      const total = terms.total.dataSync()[0]!;
      disposeAll([terms, batch, inputs, rest]);
      return total;
    };
    expect(lossOf(5)).toBeCloseTo(lossOf(-1), 5);
    const rows = embedMavil(model.params, model.config, [one, without("audio", two)], "video");
    expect(rows.shape).toEqual([2, 6]);
    expect(() => embedMavil(model.params, model.config, [without("audio", two)], "audio")).toThrow(
      "expected samples with audio",
    );
    rows.dispose();
    model.dispose();
  });
});

await onEveryEngine("mavil-features", () => {
  const learn = (given: object = {}) => {
    const teacher = createModel(mavil, { ...sizes, ...given }, { seed: 9 });
    return { teacher, model: createModel(mavilFeatures, sizes, { seed: 1, teachers: { teacher } }) };
  };

  it("predicts the teacher's fused tokens of whole samples, normalised, of what each sample has", () => {
    const { teacher, model } = learn();
    const [one, two] = samples(2, createRandom(1)) as [AlignedSample, AlignedSample];
    const silent = without("audio", two);
    const batch = model.prepare([one, silent], createRandom(2));
    tf.tidy(() => {
      const [both, alone] = [[one], [silent]].map((group) => {
        const tokens = teacher.encode(group, { pool: "tokens" });
        const { mean, variance } = tf.moments(tokens, -1, true);
        return tf.div(tf.sub(tokens, mean), tf.sqrt(tf.add(variance, 1e-6)));
      });
      const video = tf.concat([both!.slice([0, 0, 0], [1, 8, 8]), alone!]);
      const audio = tf.concat([both!.slice([0, 8, 0], [1, 6, 8]), tf.zeros([1, 6, 8])]);
      expect(tf.max(tf.abs(tf.sub(batch.targets.video!, video))).dataSync()[0]).toBeLessThan(1e-4);
      expect(tf.max(tf.abs(tf.sub(batch.targets.audio!, audio))).dataSync()[0]).toBeLessThan(1e-4);
    });
    disposeAll(batch);
    for (const owned of [model, teacher]) owned.dispose();
  });

  it.each([
    [{ modalities: { audio: sizes.modalities.audio, video: sizes.modalities.video } }, "in the same order"],
    [{ width: 12 }, "expected 14 tokens of width 8"],
  ])("refuses a teacher that does not fit", (given, message) => {
    const { teacher, model } = learn(given);
    expect(() => model.prepare(samples(1, createRandom(1)), createRandom(1))).toThrow(message);
    for (const owned of [model, teacher]) owned.dispose();
  });
});

it("takes two modalities or more", () => {
  const { audio } = sizes.modalities;
  expect(() => createModel(mavil, { ...sizes, modalities: { audio } })).toThrow("takes two or more");
});
