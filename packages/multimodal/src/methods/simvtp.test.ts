import { createModel, createRandom, disposeAll, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { encodeTexts, learnVocabulary } from "../text/word-piece.js";
import { simvtp } from "./simvtp.js";

const captions = ["a dog runs", "two cats sleep", "the dog sleeps", "a bird sings loudly"];
const vocabulary = learnVocabulary(captions, 100);
const config = {
  vocabulary,
  video: { size: [4, 8, 8], patch: [2, 4, 4] },
  ...{ textLength: 8, textPositions: 10, width: 8, depth: 1, heads: 2 },
  ...{ decoderWidth: 8, decoderDepth: 1, decoderHeads: 2, mlpRatio: 2, videoMaskRatio: 0.5 },
} satisfies Parameters<typeof createModel<typeof simvtp>>[1];

const samples = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, (_, i) => ({
    parts: { video: { values: random.uniforms(4 * 8 * 8 * 3), shape: [4, 8, 8, 3] } },
    texts: { text: captions[i % captions.length]! },
  }));

await contractSuite({
  method: simvtp,
  config,
  samples,
  features: 8,
  overfits: 0.7,
  lr: 1e-2,
  differenceStep: 1e-4, // word embeddings begin at 0.02, and a layer norm follows them
});

await onEveryEngine("simvtp", () => {
  it("hides words but no special token, and pairs each text with another's clip", () => {
    const model = createModel(simvtp, { ...config, wordMaskRatio: 0.99 }, { seed: 1 });
    const batch = model.prepare(samples(4, createRandom(2)), createRandom(3));
    const { ids, labels, present } = batch.text;
    const first = Array.from(ids.subarray(0, 8), (id) => vocabulary[id]);
    expect(first).toEqual(["[CLS]", "[MASK]", "[MASK]", "[MASK]", "[SEP]", "[PAD]", "[PAD]", "[PAD]"]);
    expect(Array.from(labels.subarray(0, 8), (id) => vocabulary[id])).toEqual([
      ...[undefined, "a", "dog", "runs"],
      ...Array.from({ length: 4 }, () => undefined),
    ]);
    expect([...present.subarray(0, 8)]).toEqual([1, 1, 1, 1, 1, 0, 0, 0]);
    expect([...batch.negatives].sort()).toEqual([0, 1, 2, 3]);
    batch.negatives.forEach((other, i) => {
      expect(other).not.toBe(i);
    });
    disposeAll(batch);
    model.dispose();
  });

  it("does not attend to padding", () => {
    const [short, long] = [8, 10].map((textLength) =>
      createModel(simvtp, { ...config, textLength }, { seed: 1 }),
    );
    const [clip] = samples(1, createRandom(2)) as [AlignedSample];
    const words = (model: typeof short) => {
      const tokens = model!.encode([{ ...clip, parts: {} }]);
      const values = [...tokens.dataSync()];
      tokens.dispose();
      return values;
    };
    // The means differ, since padding is averaged too; that of clips does not depend on texts at all.
    expect(words(short)).not.toEqual(words(long));
    const alone = [short!, long!].map((model) => {
      const features = model.encode([{ parts: clip.parts }]);
      const values = [...features.dataSync()];
      features.dispose();
      return values;
    });
    expect(alone[0]).toEqual(alone[1]);
    for (const model of [short!, long!]) model.dispose();
  });
});

describe("word pieces", () => {
  it("spell what the vocabulary lacks, and say [UNK] to letters never seen", () => {
    const { ids } = encodeTexts(vocabulary, ["The dogs sing!", "ж"], 12);
    const words = (from: number) =>
      Array.from(ids.subarray(from, from + 12), (id) => vocabulary[id]).filter((word) => word !== "[PAD]");
    expect(words(0)).toEqual(["[CLS]", "the", "dog", "##s", "s", "##i", "##n", "##g", "[UNK]", "[SEP]"]);
    expect(words(12)).toEqual(["[CLS]", "[UNK]", "[SEP]"]);
  });

  it("cut a long text but keep its end mark", () => {
    const { ids } = encodeTexts(vocabulary, ["a dog runs a dog runs"], 5);
    expect(Array.from(ids, (id) => vocabulary[id])).toEqual(["[CLS]", "a", "dog", "runs", "[SEP]"]);
  });

  it("are learned: every character, then the most frequent words", () => {
    expect(learnVocabulary(["b a b", "b ab"], 11)).toEqual([
      ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
      ...["a", "b", "##a", "##b", "ab"],
    ]);
    expect(() => learnVocabulary(["abc"], 8)).toThrow("3 characters do not fit 8 tokens");
  });
});
