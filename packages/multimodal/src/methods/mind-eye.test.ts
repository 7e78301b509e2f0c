import { createModel, createRandom, disposeAll, type Random, retrievalOfPairs } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { drawEmbeddings, mindEye, mindEyeSchedule } from "./mind-eye.js";

const config = {
  voxels: 10,
  tokens: 3,
  tokenWidth: 8,
  hidden: 16,
  blocks: 1,
  projectorWidth: 12,
  priorDepth: 1,
  priorHeads: 2,
  priorSteps: 8,
  conditionDrop: 0.5,
  temperature: 0.1,
  priorWeight: 1,
} satisfies Parameters<typeof createModel<typeof mindEye>>[1];

const samplesOf = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      voxels: { values: random.normals(10), shape: [10] },
      embedding: { values: random.normals(24), shape: [3, 8] },
    },
  }));

await contractSuite({
  method: mindEye,
  config,
  samples: samplesOf,
  features: 24,
  overfits: 0.85,
});

await onEveryEngine("mind-eye", () => {
  it("after the mixed epochs neither mixes nor scores by BiMixCo", () => {
    const model = createModel(mindEye, {
      ...config,
      dropout: 0,
      blockDropout: 0,
      softTemperature: [0.2, 0.2],
    });
    const batch = model.prepare(samplesOf(4, createRandom(1)), createRandom(2));
    const other = { ...batch, mix: { ...batch.mix, weights: Float32Array.from([0.1, 0.2, 0.3, 0.4]) } };
    const contrast = (given: typeof batch) => model.loss(given).contrast!.dataSync()[0];
    expect(contrast(other)).not.toBe(contrast(batch));
    mindEye.afterUpdate(model.params, model.config, { step: 4, steps: 10, stepsPerEpoch: 1 });
    expect(contrast(other)).toBe(contrast(batch));
  });

  it("draws embeddings of the targets' size, the same for the same seed", () => {
    const model = createModel(mindEye, config);
    const samples = samplesOf(2, createRandom(1));
    const [first, again, other] = [1, 1, 2].map((seed) =>
      drawEmbeddings(model.params, model.config, samples, createRandom(seed)),
    );
    expect(first!.shape).toEqual([2, 3, 8]);
    expect(again!.dataSync()).toEqual(first!.dataSync());
    expect(other!.dataSync()).not.toEqual(first!.dataSync());
  });

  it("puts vectors and embeddings in one space, so that one finds the other", async () => {
    const model = createModel(mindEye, config);
    const samples = samplesOf(3, createRandom(1));
    const sides = ["voxels", "embedding"].map((name) =>
      model.encode(samples.map(({ parts }) => ({ parts: { [name]: parts[name]! } }))),
    );
    const [voxels, embedding] = sides.map((side) => side.dataSync() as Float32Array);
    const { forward } = await retrievalOfPairs(voxels!, embedding!, 24);
    expect(forward.ranks).toHaveLength(3);
    const lengths = [0, 1, 2].map((i) => Math.hypot(...embedding!.subarray(24 * i, 24 * i + 24)));
    for (const length of lengths) expect(length).toBeCloseTo(1, 5);
    disposeAll(sides);
  });
});

it("changes its contrast after a third of the epochs and anneals the temperature to the last", () => {
  const resolved = createModel(mindEye, config).config;
  const at = (epoch: number) => mindEyeSchedule(resolved, epoch, 240);
  expect([at(78).soft, at(79).soft]).toEqual([false, true]);
  expect(at(79).temperature).toBeCloseTo(0.004, 9);
  expect(at(239).temperature).toBeCloseTo(0.0075, 9);
  expect(mindEyeSchedule({ ...resolved, mixEpochs: 0 }, 0, 1)).toEqual({ soft: true, temperature: 0.004 });
});
