import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { embedPairwise, otherViewContrast, pairwiseContrastMethod } from "./pairwise-contrast.js";

const config = {
  modalities: {
    video: { size: [4, 4, 4], patch: [2, 2, 2], channels: 2 },
    audio: { size: [8, 4], patch: [2, 2] },
    text: { size: [6], patch: [1], channels: 3 },
  },
  ...{ width: 8, depth: 1, heads: 2, hidden: 12, projectorHidden: 8, projectorWidth: 6, temperature: 0.5 },
} as const;

const samples = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      video: { values: random.normals(128), shape: [4, 4, 4, 2] },
      audio: { values: random.normals(32), shape: [8, 4, 1] },
      text: { values: random.normals(18), shape: [6, 3] },
    },
  }));

const without = (name: string, { parts }: AlignedSample): AlignedSample => ({
  parts: Object.fromEntries(Object.entries(parts).filter(([own]) => own !== name)),
});

await contractSuite({
  method: pairwiseContrastMethod,
  config,
  samples,
  features: 24,
  overfits: 0.9,
  steps: 20,
  lr: 1e-2,
  differenceStep: 1e-4, // a unit of a projector (ReLU) stands next to its kink
});

const { pairwise } = JSON.parse(
  readFileSync(new URL("../../test/fixtures/contrasts.json", import.meta.url), "utf8"),
) as {
  readonly pairwise: {
    readonly terms: { readonly forwards: number; readonly backwards: number };
    readonly gradients: number[][];
  };
};

const wave = (shape: [number, number], seed: number) => {
  const at = (_: unknown, i: number) => Math.sin(1.3 * i * (1 + 0.1 * seed) + 0.7 * seed);
  return tf.tensor(Array.from({ length: shape[0] * shape[1] }, at), shape);
};

await onEveryEngine("pairwise-contrast", () => {
  it("has the halved contrast without its diagonal, and its gradients, that PyTorch computes", () => {
    tf.tidy(() => {
      const [first, second] = [wave([6, 4], 1), wave([6, 4], 2)] as const;
      const { terms, gradients } = pairwise;
      expect(otherViewContrast(first, second, 0.07).dataSync()[0]).toBeCloseTo(terms.forwards, 3);
      expect(otherViewContrast(second, first, 0.07).dataSync()[0]).toBeCloseTo(terms.backwards, 3);
      const slopes = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
        tf.add(otherViewContrast(a, b, 0.07), otherViewContrast(b, a, 0.07)),
      )([first, second]);
      slopes.forEach((slope, i) => {
        slope.dataSync().forEach((value, j) => {
          expect(value).toBeCloseTo(gradients[i]![j]!, 3);
        });
      });
    });
  });

  it("averages all ordered pairs over the samples that have both", () => {
    const model = createModel(pairwiseContrastMethod, { ...config, crop: 1 }, { seed: 1 });
    const [one, two, three] = samples(3, createRandom(1)) as [AlignedSample, AlignedSample, AlignedSample];
    const read = (given: readonly AlignedSample[]) => {
      const batch = model.prepare(given, createRandom(2));
      const terms = model.loss(batch);
      const read = Object.fromEntries(
        Object.entries(terms).map(([name, term]) => [name, term.dataSync()[0]!]),
      );
      disposeAll([terms, batch]);
      return read;
    };
    const { total, ...pairs } = read([one, two, three]);
    expect(Object.keys(pairs)).toHaveLength(6);
    const sum = Object.values(pairs).reduce((a, b) => a + b, 0);
    expect(total).toBeCloseTo(sum / 6, 5);
    const silent = read([one, two, without("audio", three)]);
    expect(silent["video-text"]).toBeCloseTo(pairs["video-text"]!, 5);
    expect(silent["audio-text"]).toBeCloseTo(read([one, two])["audio-text"]!, 5);
    expect(Object.keys(read([one, without("audio", two)]))).toEqual(["total", "video-text", "text-video"]);
    model.dispose();
  });

  it("crops the first extent of each sample to whole patches, twice", () => {
    const model = createModel(pairwiseContrastMethod, { ...config, crop: 0.5 }, { seed: 1 });
    const count = (steps: number, width: number) =>
      Float32Array.from({ length: steps * width }, (_, i) => Math.floor(i / width));
    const sample: AlignedSample = {
      parts: {
        video: { values: count(4, 32), shape: [4, 4, 4, 2] },
        audio: { values: count(8, 4), shape: [8, 4, 1] },
        text: { values: count(6, 3), shape: [6, 3] },
      },
    };
    const { views, present } = model.prepare(Array(8).fill(sample), createRandom(1));
    expect(views.video!.shape).toEqual([16, 2, 4, 4, 2]);
    expect(views.text!.shape).toEqual([16, 3, 3]);
    const rows = views.audio!.reshape([16, 4, 4]).arraySync() as number[][][];
    for (const view of rows) expect(view.map((frame) => frame[0]! - view[0]![0]!)).toEqual([0, 1, 2, 3]);
    expect(new Set(rows.map((view) => view[0]![0])).size).toBeGreaterThan(2);
    disposeAll([views, present]);
    model.dispose();
  });

  it("puts the features of what a sample lacks to zero, and embeds one modality alone", () => {
    const model = createModel(pairwiseContrastMethod, config, { seed: 1 });
    const [one, two] = samples(2, createRandom(1)) as [AlignedSample, AlignedSample];
    const features = model.encode([without("audio", one), two]);
    const row = (features.arraySync() as number[][])[0]!;
    const parts = [row.slice(0, 8), row.slice(8, 16), row.slice(16)];
    expect(parts.map((part) => part.some((value) => value !== 0))).toEqual([true, false, true]);
    const rows = embedPairwise(model.params, model.config, [one, two], "audio");
    (rows.arraySync() as number[][]).forEach((unit) => {
      expect(Math.hypot(...unit)).toBeCloseTo(1, 5);
    });
    expect(() => embedPairwise(model.params, model.config, [without("audio", one)], "audio")).toThrow(
      "expected samples with audio",
    );
    disposeAll([features, rows]);
    model.dispose();
  });
});
