import * as tf from "@tensorflow/tfjs";
import {
  createDataset,
  createModel,
  createRandom,
  disposeAll,
  type Mask,
  type Model,
  pretrain,
  type Random,
  resolveConfig,
  tidy,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { learnVocabulary } from "../text/word-piece.js";
import { captionGuidedMae, captionScores } from "./caption-guided-mae.js";
import { dualEncoder } from "./dual-encoder.js";

const captions = ["a dog runs", "two cats sleep", "the dog sleeps", "a bird sings loudly"];
const encoder = {
  vocabulary: learnVocabulary(captions, 60),
  video: { size: [4, 8, 8], patch: [4, 4] },
  ...{ textLength: 7, textPositions: 8, width: 8, depth: 1, textDepth: 1, heads: 2, projection: 6 },
} satisfies Parameters<typeof createModel<typeof dualEncoder>>[1];
const config = {
  video: { size: [4, 8, 8], patch: [2, 4, 4] },
  ...{ width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2, textWidth: 6 },
  ...{ maskRatio: 0.5, contrastWeight: 0.5 },
} satisfies Parameters<typeof createModel<typeof captionGuidedMae>>[1];

const samples = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, (_, i) => ({
    parts: { video: { values: random.uniforms(4 * 8 * 8 * 3), shape: [4, 8, 8, 3] } },
    texts: { text: captions[i % captions.length]! },
  }));

await contractSuite({
  method: dualEncoder,
  config: encoder,
  samples,
  features: 6,
  steps: 20,
  lr: 1e-2,
  differenceStep: 1e-4, // word embeddings begin at 0.02, and a layer norm follows them
});
await contractSuite({
  method: captionGuidedMae,
  config,
  samples,
  teachers: () => ({ guide: createModel(dualEncoder, encoder, { seed: 9 }) }),
  features: 8,
  steps: 20,
  overfits: 0.9,
  lr: 1e-2,
  differenceStep: 1e-4, // tokens of width 8 are divided by their length and by a temperature of 0.07
});

await onEveryEngine("caption-guided-mae", () => {
  it("scores a cube by the mean cosine of its frames' patches with the caption, resized to its grid", () => {
    // A guide of given vectors: patches of 2 x 2 a frame, the text (3, 4).
    const patches = tf.tensor3d([1, 0, 0, 2, 3, 4, -3, -4, 4, 3, 0, 0.5, 0, 1, 1, 0], [1, 8, 2]);
    const guide = {
      method: { id: "given" },
      config: { video: { size: [2, 8, 8], patch: [4, 4] } },
      encode: () => patches.clone(),
    } as unknown as Model;
    const text = tf.tensor2d([3, 4], [1, 2]);
    const scores = (rows: number) =>
      captionScores(
        resolveConfig(captionGuidedMae, {
          ...config,
          video: { size: [2, 8, 8], patch: [2, 8 / rows, 8 / rows] },
        }),
        guide,
        samples(1, createRandom(1)),
        text,
      );
    const cosines = [0.6, 0.8, 1, -1, 0.96, 0.8, 0.8, 0.6];
    const means = [0, 1, 2, 3].map((i) => (cosines[i]! + cosines[i + 4]!) / 2);
    scores(2).forEach((score, i) => {
      expect(score).toBeCloseTo(means[i]!, 5);
    });
    const finer = scores(4); // corners keep their values, the middle of an edge lies between
    expect(finer[0]).toBeCloseTo(means[0]!, 5);
    expect(finer[1]).toBeCloseTo(0.75 * means[0]! + 0.25 * means[1]!, 5);
    disposeAll([patches, text]);
  });
});

describe("masks of caption-guided-mae", () => {
  const draw = (
    masking: "caption" | "caption-least" | "random" | "tube" | "motion",
    set: AlignedSample[],
  ) => {
    const guide = createModel(dualEncoder, encoder, { seed: 9 });
    const model = createModel(captionGuidedMae, { ...config, masking }, { seed: 1, teachers: { guide } });
    const batch = model.prepare(set, createRandom(3));
    const scores = captionScores(model.config, guide as unknown as Model, set, batch.text);
    disposeAll([batch.video, batch.text]);
    for (const made of [guide, model]) made.dispose();
    return { mask: batch.mask, scores };
  };
  const hidden = ({ masked, tokens, kept }: Mask, b: number, slot: number) =>
    Array.from(masked.subarray(b * (tokens - kept), (b + 1) * (tokens - kept))).flatMap((place) =>
      Math.floor(place / 4) === slot ? [place % 4] : [],
    );

  it("hide in each time slot what fits the caption most, or least", () => {
    for (const masking of ["caption", "caption-least"] as const) {
      const { mask, scores } = draw(masking, samples(2, createRandom(2)));
      for (const b of [0, 1])
        for (const slot of [0, 1]) {
          const own = Array.from(scores.subarray((b * 2 + slot) * 4, (b * 2 + slot) * 4 + 4));
          const order = [0, 1, 2, 3].sort((i, j) => own[j]! - own[i]!);
          const wanted = masking === "caption" ? order.slice(0, 2) : order.slice(2);
          expect(hidden(mask, b, slot)).toEqual(wanted.sort());
        }
    }
  });

  it("hide the same places in all slots as tubes, and as many of any in each slot at random", () => {
    const set = samples(4, createRandom(2));
    const tube = draw("tube", set).mask;
    for (const b of [0, 1, 2, 3]) expect(hidden(tube, b, 0)).toEqual(hidden(tube, b, 1));
    const random = draw("random", set).mask;
    const slots = [0, 1, 2, 3].flatMap((b) => [hidden(random, b, 0), hidden(random, b, 1)]);
    expect(slots.every((places) => places.length === 2)).toBe(true);
    expect(new Set(slots.map(String)).size).toBeGreaterThan(2);
  });

  it("hide what moves", () => {
    // The upper left quarter flickers, the rest stands still: it is the place that motion never draws at random.
    const values = new Float32Array(4 * 8 * 8 * 3).map((_, i) => {
      const [frame, y, x] = [Math.floor(i / 192), Math.floor(i / 24) % 8, Math.floor(i / 3) % 8];
      return y < 4 && x < 4 ? frame % 2 : 0.5;
    });
    const still: AlignedSample = {
      parts: { video: { values, shape: [4, 8, 8, 3] } },
      texts: { text: captions[0]! },
    };
    const { mask } = draw("motion", [still]);
    for (const slot of [0, 1]) expect(hidden(mask, 0, slot)).toContain(0);
  });
});

it("dual-encoder can find the place that a caption speaks of, having seen whole captioned frames only", async () => {
  // A red or a blue square somewhere in gray; the caption names the colour.
  const random = createRandom(1);
  const colours = { red: [1, 0, 0], blue: [0, 0, 1] } as const;
  const set = Array.from({ length: 32 }, (_, i) => {
    const [name, rgb] = Object.entries(colours)[i % 2]!;
    const place = random.int(4);
    const values = new Float32Array(8 * 8 * 3).map((_, at) => {
      const cell = 2 * Math.floor(at / 96) + (Math.floor(at / 12) % 2);
      return (cell === place ? rgb[at % 3]! : 0.5) + 0.02 * random.normal();
    });
    return {
      parts: { video: { values, shape: [1, 8, 8, 3] } },
      texts: { text: `a ${name} square` },
      place,
    };
  });
  const guide = createModel(
    dualEncoder,
    {
      ...encoder,
      vocabulary: learnVocabulary(set.map(({ texts }) => texts.text)),
      video: { size: [1, 8, 8], patch: [4, 4] },
    },
    { seed: 1 },
  );
  const data = createDataset<AlignedSample>({ name: "squares", length: 32, get: async (i) => set[i]! });
  const training = { epochs: 10, batchSize: 8, lr: 1e-2, warmupEpochs: 1, seed: 1 };
  for await (const _ of pretrain(guide, data, training));
  const found = tidy(() => {
    const text = guide.encode(set.map(({ texts }) => ({ parts: {}, texts }))) as tf.Tensor2D;
    const clips = { ...config, video: { size: [1, 8, 8], patch: [1, 4, 4] } } as const;
    const scores = captionScores(
      resolveConfig(captionGuidedMae, clips),
      guide as unknown as Model,
      set,
      text,
    );
    return set.filter(({ place }, i) => {
      const own = scores.subarray(4 * i, 4 * i + 4);
      return own.indexOf(Math.max(...own)) === place;
    }).length;
  });
  expect(found / set.length).toBeGreaterThan(0.75); // chance is 1 in 4
  guide.dispose();
});
