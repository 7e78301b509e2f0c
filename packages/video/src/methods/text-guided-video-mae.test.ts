import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, maskedFlags, type Random, trainable } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { digest, fillWithWaves, type LossFixture, waveMask, waveTensor } from "../../test/waves.js";
import { textGuidedMask } from "../masks.js";
import type { GuidedSample } from "../sample.js";
import { textGuidedVideoMae } from "./text-guided-video-mae.js";

const config = {
  ...{ frames: 4, imageSize: 8, tubeletSize: 2, patchSize: 4, channels: 3, mean: [0.4], std: [0.3] },
  ...{ width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 },
  ...{ textWidth: 5, contrastWeight: 0.5 },
} satisfies Parameters<typeof createModel<typeof textGuidedVideoMae>>[1];

const shape = { frames: 4, height: 8, width: 8, channels: 3 };
const samples = (count: number, random: Random): GuidedSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(768),
    ...shape,
    scores: random.uniforms(4 * 9),
    scoreGrid: [3, 3] as const,
    text: random.normals(5),
  }));

await contractSuite({ method: textGuidedVideoMae, config, samples, features: 8, overfits: 0.8 });

const fixture: LossFixture = JSON.parse(
  readFileSync(new URL("../../test/fixtures/cross-losses.json", import.meta.url), "utf8"),
).textGuided;

await onEveryEngine("text-guided-video-mae", () => {
  it("has the losses and gradients that PyTorch computes from the formulas", () => {
    const model = createModel(textGuidedVideoMae, config);
    fillWithWaves(model.params);
    const batch = {
      clips: waveTensor([3, 4, 8, 8, 3], 1) as tf.Tensor5D,
      text: waveTensor([3, 5], 5) as tf.Tensor2D,
      mask: waveMask(3, 8, 1, 4),
    };
    const terms = textGuidedVideoMae.loss(model.params, model.config, batch);
    for (const [name, value] of Object.entries(fixture.terms))
      expect(Math.abs(terms[name as "total"].dataSync()[0]! - value) / value, name).toBeLessThan(1e-5);
    const variables = trainable(model.params);
    const { grads } = tf.variableGrads(
      () => textGuidedVideoMae.loss(model.params, model.config, batch).total,
      [...variables.values()],
    );
    const largest = Math.max(...Object.values(fixture.gradients).flat().map(Math.abs));
    expect([...variables.keys()].sort()).toEqual(Object.keys(fixture.gradients).sort());
    for (const [path, { name }] of variables)
      digest(grads[name]!).forEach((value, i) => {
        expect(Math.abs(value - fixture.gradients[path]![i]!) / largest, path).toBeLessThan(2e-5);
      });
  });
});

describe("textGuidedMask", () => {
  const options = { grid: [2, 2, 3], tubeletSize: 2, hide: "highest" } as const;
  const map = (...frames: number[][]) => ({
    scores: Float32Array.from(frames.flat()),
    scoreGrid: [2, 3] as const,
  });
  const flags = (given: object, seed = 0) => {
    const mask = textGuidedMask({ ...options, maps: [], ratio: 0.34, ...given }, createRandom(seed));
    return [...maskedFlags(mask)];
  };

  it("hides the highest means of each time slot, of equal ones the first", () => {
    const maps = [map([9, 0, 0, 0, 5, 0], [0, 0, 0, 0, 5, 0], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1])];
    expect(flags({ maps })).toEqual([1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0]); // 4.5 and 5 are highest
    expect(flags({ maps, hide: "lowest" })).toEqual([0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
  });

  it("resizes scores between the centres of their patches", () => {
    const grid = [1, 4, 4] as const;
    const scores = Float32Array.from([0, 1, 2, 3]); // 2 x 2: rows 0 1, 2 3
    const maps = [{ scores, scoreGrid: [2, 2] as const }];
    const hidden = flags({ maps, grid, tubeletSize: 1, ratio: 0.25 });
    // Bilinear values: row r adds 0, 0.5, 1.5, 2; column c a half of that. The last row but its first, and (2, 3).
    const value = (r: number, c: number) => [0, 0.25, 0.75, 1][r]! * 2 + [0, 0.25, 0.75, 1][c]!;
    const cells = Array.from({ length: 16 }, (_, i) => i);
    const best = cells.sort((a, b) => value(b >> 2, b % 4) - value(a >> 2, a % 4) || a - b).slice(0, 4);
    expect(hidden.flatMap((flag, i) => (flag ? [i] : []))).toEqual(best.sort((a, b) => a - b));
  });

  it("hides floor(0.6 * 196) = 117 of 196 cells in every slot", () => {
    const scores = createRandom(1).uniforms(16 * 49);
    const mask = textGuidedMask(
      {
        maps: [{ scores, scoreGrid: [7, 7] }],
        grid: [8, 14, 14],
        tubeletSize: 2,
        ratio: 0.6,
        hide: "highest",
      },
      createRandom(0),
    );
    expect(mask.kept).toBe(8 * (196 - 117));
  });

  it("goes from the scores' mask to a random one with noise", () => {
    const scores = createRandom(3).uniforms(4 * 6);
    const maps = [{ scores, scoreGrid: [2, 3] as const }];
    const plain = flags({ maps });
    const agreement = (noise: number) => {
      let same = 0;
      for (let seed = 0; seed < 40; seed++)
        flags({ maps, noise }, seed).forEach((flag, i) => {
          same += Number(flag === 1 && plain[i] === 1);
        });
      return same / (40 * 4);
    };
    expect(agreement(0)).toBe(1);
    expect(agreement(0.5)).toBeGreaterThan(agreement(1) + 0.1);
    expect(Math.abs(agreement(1) - 1 / 3)).toBeLessThan(0.12); // two of six cells, drawn at random
  });
});

it("says what samples lack", () => {
  const model = createModel(textGuidedVideoMae, config);
  const [sample] = samples(1, createRandom(1));
  const { scores: _, ...bare } = sample!;
  expect(() => model.prepare([bare as GuidedSample], createRandom(1))).toThrow("put NAME.npz");
  const short: GuidedSample = { ...sample!, text: new Float32Array(4) };
  expect(() => model.prepare([short], createRandom(1))).toThrow("expected text vectors of 5");
});
