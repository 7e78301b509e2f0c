import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  createModel,
  createRandom,
  disposeAll,
  flatten,
  type Model,
  prependToken,
  type Random,
  restoreRows,
  takeRows,
  tidy,
  withClassToken,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { decodeFrames } from "../frame-decoder.js";
import { selectFrames } from "../frame-selector.js";
import type { AlignedSample } from "../sample.js";
import { encodeFrames, framePatches, pruneTokens } from "../sparse-frames.js";
import { learnVocabulary } from "../text/word-piece.js";
import { embedSmaug, frameTarget, matchSmaug, smaug, smaugTerms } from "./smaug.js";
import { createSmaugAnswers, smaugAnswers } from "./smaug-answers.js";

const captions = ["a dog runs", "two cats sleep", "the dog sleeps", "a bird sings loudly"];
const vocabulary = learnVocabulary(captions, 60);
const network = {
  vocabulary,
  video: { size: [2, 8, 8], patch: [2, 2] },
  ...{ textLength: 7, textPositions: 8, width: 8, depth: 2, textDepth: 1, fusionDepth: 1, heads: 2 },
  ...{ mlpRatio: 2, pruneAt: [1, 2] },
} satisfies Parameters<typeof createModel<typeof smaugAnswers>>[1];
const config = {
  ...network,
  ...{ decoderWidth: 8, decoderDepth: 1, decoderHeads: 2, projection: 6, videoMaskRatio: 0.5 },
} satisfies Parameters<typeof createModel<typeof smaug>>[1];

const samples = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, (_, i) => ({
    parts: { video: { values: random.uniforms(2 * 8 * 8 * 3), shape: [2, 8, 8, 3] } },
    texts: { text: captions[i % captions.length]! },
    label: i % 3,
  }));

// Straight-through weights have, on purpose, another gradient than finite differences measure: here all frames are kept.
await contractSuite({
  method: smaug,
  config: { ...config, keepFrames: 1 },
  samples,
  features: 8,
  overfits: 0.8,
  lr: 1e-2,
  steps: 20,
  differenceStep: 2e-5, // so that the same tokens are dropped on the way
});
await contractSuite({
  method: smaugAnswers,
  config: { ...network, keepFrames: 1, classes: 3 },
  samples,
  features: 8,
  lr: 1e-2,
  steps: 20,
  differenceStep: 2e-5,
});

interface Recorded {
  readonly tokens: number[];
  readonly gradients: number[][];
}
const recorded = JSON.parse(
  readFileSync(new URL("../../test/fixtures/smaug.json", import.meta.url), "utf8"),
) as { readonly prune: Recorded; readonly select: Recorded; readonly losses: Record<string, number> };

/** The inputs of the fixture's script. */
const wave = <T extends tf.Tensor>(shape: readonly number[], seed: number): T => {
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
    Math.sin(1.3 * i * (1 + 0.1 * seed) + 0.7 * seed),
  );
  return tf.tensor(values, [...shape]) as T;
};

/** Tokens and the gradient of their product with a wave, as the script records them. */
function compare(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  { tokens, gradients }: Recorded,
) {
  tidy(() => {
    const close = (found: tf.Tensor, wanted: number[], largest: number, what: string) => {
      expect(found.size, what).toBe(wanted.length);
      found.dataSync().forEach((value, i) => {
        expect(Math.abs(value - wanted[i]!) / largest, what).toBeLessThan(1e-5);
      });
    };
    const largestOf = (values: number[]) => Math.max(...values.map(Math.abs));
    const found = f(...inputs);
    close(found, tokens, largestOf(tokens), "tokens");
    const slopes = tf.grads((...x: tf.Tensor[]) => tf.sum(tf.mul(f(...x), wave(found.shape, 9))))(inputs);
    slopes.forEach((slope, i) => {
      close(slope, gradients[i]!, largestOf(gradients.flat()), `gradient of input ${i}`);
    });
  });
}

await onEveryEngine("smaug", () => {
  it("drops the tokens of least importance, one standing for them, as PyTorch computes it", () => {
    tidy(() => {
      const places = tf.ones([2, 5, 9]) as tf.Tensor3D;
      compare(
        (tokens, logits) =>
          pruneTokens(tokens as tf.Tensor3D, tf.mul(tf.softmax(logits), 0.9) as tf.Tensor2D, places, 3)
            .tokens,
        [wave([2, 6, 4], 1), wave([2, 5], 2)],
        recorded.prune,
      );
    });
  });

  it("selects frames with straight-through weights, as PyTorch computes it", () => {
    tidy(() => {
      const noise = wave<tf.Tensor2D>([2, 4], 7);
      compare(
        (frames, text, weight1, bias1, weight2, bias2) =>
          selectFrames(
            {
              fc1: { weight: weight1 as tf.Variable, bias: bias1 as tf.Variable },
              fc2: { weight: weight2 as tf.Variable, bias: bias2 as tf.Variable },
            },
            frames as tf.Tensor4D,
            text as tf.Tensor2D,
            2,
            noise,
          ),
        [
          wave([2, 4, 3, 4], 1),
          wave([2, 4], 2),
          ...[[4, 8], [4], [1, 4], [1]].map((shape, i) => wave(shape, 3 + i)),
        ],
        recorded.select,
      );
    });
  });

  it("has the four losses that PyTorch computes", () => {
    const found = tidy(() =>
      smaugTerms(
        {
          prediction: wave([2, 3, 12], 1),
          target: frameTarget({ normaliseTarget: true }, wave([2, 3, 12], 2)) as tf.Tensor3D,
          words: wave([2, 4, 5], 3),
          videoFeature: wave([3, 4], 4),
          textFeature: wave([3, 4], 5),
          matches: wave([9, 2], 6),
        },
        Int32Array.of(-100, 2, -100, 4, -100, -100, 0, -100),
        tf.scalar(Math.log(1 / 0.07)),
      ),
    );
    const { total, ...terms } = found;
    for (const [name, value] of Object.entries(recorded.losses))
      expect(terms[name as "video"].dataSync()[0]! / value, name).toBeCloseTo(1, 5);
    const sum = Object.values(recorded.losses).reduce((a, b) => a + b);
    expect(total.dataSync()[0]! / sum).toBeCloseTo(1, 5);
    disposeAll(found);
  });

  it("is, with nothing dropped, a plain masked autoencoder of frames to the bit", () => {
    const model = createModel(smaug, { ...config, keepTokens: 1, keepFrames: 1 }, { seed: 1 });
    tidy(() => {
      const { params, config: complete } = model;
      const { video, mask } = model.prepare(samples(2, createRandom(2)), createRandom(3));
      const patches = framePatches(video, complete);
      const found = encodeFrames(params.frames, complete, patches, { mask, prune: true });
      const { frames, decoder } = params;
      const embedded = tf.add(applyPatchEmbed(frames.patch_embed, patches), frames.pos_embed);
      const seen = prependToken(frames.cls_token, takeRows(embedded, mask.keep));
      const whole = tf.add(seen.reshape([2, 2, mask.kept + 1, 8]), frames.frame_embed).reshape(seen.shape);
      const block = { heads: 2, epsilon: 1e-6 };
      const encoded = applyLayerNorm(frames.norm, applyTransformer(frames.blocks, whole, block), 1e-6);
      expect(found.tokens.dataSync()).toEqual(encoded.dataSync());
      const small = applyLinear(decoder.embed, encoded);
      const restored = restoreRows(small, decoder.mask_token, withClassToken(mask));
      const table = tf.concat([tf.zeros([1, 1, 8]), decoder.pos_embed], 1);
      const decoded = applyTransformer(decoder.blocks, tf.add(restored, table), block).slice([0, 1, 0]);
      const wanted = applyLinear(decoder.head, applyLayerNorm(decoder.norm, decoded, 1e-6));
      const predicted = decodeFrames(decoder, complete, found);
      predicted.dataSync().forEach((value, i) => {
        expect(Math.abs(value - wanted.dataSync()[i]!)).toBeLessThan(1e-6);
      });
    });
    model.dispose();
  });

  it("remembers where the tokens that are left stood, and hides what it dropped from the decoder too", () => {
    const model = createModel(smaug, { ...config, keepTokens: 0.5 }, { seed: 1 });
    tidy(() => {
      const { video, mask } = model.prepare(samples(2, createRandom(2)), createRandom(3));
      const patches = framePatches(video, model.config);
      const { tokens, places } = encodeFrames(model.params.frames, model.config, patches, {
        mask,
        prune: true,
      });
      // 8 of 16 are visible; 4 are left and one for the others, of these 2 and one for the others.
      expect(tokens.shape).toEqual([4, 1 + 2 + 1, 8]);
      const perPlace = tf.sum(places, 1).arraySync() as number[][];
      perPlace.forEach((counts, image) => {
        const visible = new Set(mask.keep.subarray(8 * image, 8 * image + 8));
        const left = counts.flatMap((count, place) => (count > 0 ? [place] : []));
        expect(counts.every((count) => count === 0 || count === 1)).toBe(true);
        expect(left.length).toBeLessThanOrEqual(2);
        expect(left.every((place) => visible.has(place))).toBe(true);
      });
    });
    model.dispose();
  });

  it("never takes a pair that belongs together, or says the same, for a wrong one", () => {
    const model = createModel(smaug, config, { seed: 1 });
    const twice = samples(4, createRandom(2)).map((sample, i) => ({
      ...sample,
      texts: { text: captions[i < 2 ? 0 : i]! },
    }));
    const batch = model.prepare(twice, createRandom(3));
    const barred = (noise: tf.Tensor) => Array.from(noise.dataSync(), (value) => (value < -1e8 ? 1 : 0));
    const wanted = [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    expect(barred(batch.otherClips)).toEqual(wanted);
    expect(barred(batch.otherTexts)).toEqual(wanted);
    const alike = model.prepare(
      twice.map((sample) => ({ ...sample, texts: { text: "a dog runs" } })),
      createRandom(3),
    );
    expect(barred(alike.otherTexts)).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    disposeAll([batch, alike]);
    model.dispose();
  });
});

it("gives the selector a gradient when it selects", () => {
  const model = createModel(smaug, config, { seed: 1 });
  tidy(() => {
    const batch = model.prepare(samples(4, createRandom(2)), createRandom(3));
    const weights = [...flatten(model.params)].flatMap(([path, value]) =>
      path.startsWith("selector") ? [value] : [],
    );
    expect(weights).toHaveLength(4);
    const { grads } = tf.variableGrads(() => smaug.loss(model.params, model.config, batch).total, weights);
    for (const { name } of weights) expect(tf.sum(tf.abs(grads[name]!)).dataSync()[0]).toBeGreaterThan(0);
  });
  model.dispose();
});

it("hands its encoders to a model that answers questions, which finds answers by clips and texts", () => {
  const model = createModel(smaug, config, { seed: 1 });
  const answers = createSmaugAnswers(model as unknown as Model, { classes: 5 }, createRandom(2));
  const of = flatten(answers.params);
  for (const [path, value] of flatten(model.params))
    if (of.has(path)) expect(of.get(path)!.dataSync(), path).toEqual(value.dataSync());
  expect([...of.keys()].filter((path) => !flatten(model.params).has(path)).length).toBe(4); // the head
  const two = samples(2, createRandom(3));
  tidy(() => {
    const logits = smaugAnswers.logits(answers.params as never, answers.config as never, two);
    expect(logits.shape).toEqual([2, 5]);
    const other = [
      { ...two[0]!, texts: two[1]!.texts },
      { ...two[0]!, parts: two[1]!.parts },
    ];
    const changed = smaugAnswers.logits(answers.params as never, answers.config as never, other);
    for (const row of [0, 1])
      expect(changed.slice([row], [1]).dataSync()).not.toEqual(logits.slice([0], [1]).dataSync());
    for (const part of ["video", "text"] as const) {
      const rows = embedSmaug(model.params, model.config, two, part);
      expect(rows.shape).toEqual([2, 6]);
      for (const length of tf.norm(rows, 2, 1).dataSync()) expect(length).toBeCloseTo(1, 5);
    }
    for (const share of matchSmaug(model.params, model.config, two).dataSync()) {
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(1);
    }
  });
  for (const made of [model, answers]) made.dispose();
});
