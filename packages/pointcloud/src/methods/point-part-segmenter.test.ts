import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, type Model, type Random } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { shapes } from "../../test/shapes.js";
import { partScores } from "../evaluate/part-scores.js";
import { vote } from "../evaluate/vote.js";
import { createPartSegmenter, createPointClassifier } from "../modality/classifier.js";
import { pointMae } from "./point-mae.js";
import { partLogits, pointPartSegmenter } from "./point-part-segmenter.js";

const encoder = {
  points: 32,
  groups: 6,
  groupSize: 6,
  embedWidths: [6, 8, 12] as [number, number, number],
  width: 12,
  depth: 2,
  heads: 2,
};
const config = {
  ...encoder,
  parts: 2,
  classes: 2,
  levels: 2,
  propagationWidths: [12, 10] as [number, number],
  headWidths: [10, 8] as [number, number],
  classWidth: 4,
  dropPath: 0,
  dropout: 0,
};

/** The upper and the lower half of each shape. */
const halves = (count: number, random: Random) =>
  shapes(count, random, 32).map((sample) => ({
    ...sample,
    parts: Int32Array.from({ length: 32 }, (_, i) => (sample.points[3 * i + 1]! > 0 ? 1 : 0)),
  }));
const zeroBefore = "shifts what the batch norm behind it takes the mean out of";

await contractSuite({
  method: pointPartSegmenter,
  config,
  samples: halves,
  features: 48,
  differenceStep: 1e-6,
  unreached: Object.fromEntries(
    [
      ...["encoder.first_conv.0.bias", "encoder.first_conv.3.bias", "encoder.second_conv.0.bias"],
      ...["propagation.0.conv.bias", "propagation.1.conv.bias", "head.0.conv.bias", "head.1.conv.bias"],
    ].map((path) => [path, zeroBefore]),
  ),
});

describe("createPartSegmenter", () => {
  beforeAll(() => tf.setBackend("cpu"));

  it("begins with a pretrained encoder and scores every point, whatever their order", () => {
    const source = createModel(pointMae, { ...encoder, decoderDepth: 1, decoderHeads: 2 }, { seed: 3 });
    const settings = { parts: 3, classes: 2, propagationWidths: [8, 8], headWidths: [8, 8], levels: 2 };
    const model = createPartSegmenter(source as unknown as Model, settings, createRandom(1));
    const params = model.params as Parameters<typeof partLogits>[0];
    expect(params.norm.weight.dataSync()).toEqual(source.params.MAE_encoder.norm.weight.dataSync());
    expect(params.blocks.blocks[1]!.mlp.fc2.weight.dataSync()).toEqual(
      source.params.MAE_encoder.blocks.blocks[1]!.mlp.fc2.weight.dataSync(),
    );
    const [sample] = halves(1, createRandom(2));
    const order = [0, ...[...createRandom(4).permutation(32)].filter((i) => i !== 0)];
    const shuffled = {
      points: Float32Array.from(order.flatMap((i) => [...sample!.points.subarray(3 * i, 3 * i + 3)])),
      label: sample!.label,
    };
    const own = model.config as Parameters<typeof partLogits>[1];
    const scores = tf.tidy(() => partLogits(params, own, [sample!]).dataSync());
    const others = tf.tidy(() => partLogits(params, own, [shuffled]).dataSync());
    order.forEach((from, to) => {
      for (let part = 0; part < 3; part++)
        expect(others[3 * to + part]).toBeCloseTo(scores[3 * from + part]!, 4);
    });
    for (const made of [source, model]) made.dispose();
  });

  it("needs a part for every point", () => {
    const model = createModel(pointPartSegmenter, config);
    expect(() => model.prepare(shapes(1, createRandom(1), 32), createRandom(0))).toThrow("32 parts of 0-1");
    model.dispose();
  });
});

describe("partScores", () => {
  it("is the mean intersection over union, a part that is nowhere counting as found", () => {
    const scores = partScores([[0, 0, 1, 1]], [[0, 1, 1, 1]]);
    expect(scores.accuracy).toBe(0.75);
    expect(scores.meanIou).toBeCloseTo((1 / 2 + 2 / 3) / 2, 12);
    expect(partScores([[0, 0]], [[0, 0]], () => [0, 7]).meanIou).toBe(1);
    expect(() => partScores([[0]], [[0, 1]])).toThrow("of other lengths");
  });
});

describe("vote", () => {
  it("adds what several views say", async () => {
    const source = createModel(pointMae, { ...encoder, decoderDepth: 1, decoderHeads: 2 }, { seed: 3 });
    const model = createPointClassifier(source as unknown as Model, { classes: 2 }, createRandom(1));
    const samples = shapes(6, createRandom(5), 32);
    let draws = 0;
    const dataset = {
      name: "shapes",
      length: 6,
      labels: Int32Array.from(samples, ({ label }) => label!),
      nameOf: String,
      take: async () => samples,
      async get(index: number, random?: Random) {
        draws += Number(random !== undefined);
        const scale = 1 + 0.2 * (random?.uniform() ?? 0);
        return { ...samples[index]!, points: samples[index]!.points.map((value) => value * scale) };
      },
    };
    const { top1, perView } = await vote(model, dataset, { views: 3 });
    expect([perView.length, draws]).toEqual([3, 18]);
    expect(top1).toBeGreaterThanOrEqual(Math.min(...perView));
    await expect(vote(source as unknown as Model, dataset)).rejects.toThrow("tells no classes apart");
    for (const made of [source, model]) made.dispose();
  });
});
