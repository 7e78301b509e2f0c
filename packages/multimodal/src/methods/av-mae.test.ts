import { createModel, createRandom, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { avMae } from "./av-mae.js";

const config = {
  modalities: {
    video: { size: [4, 4, 6], patch: [2, 2, 2], channels: 2, maskRatio: 0.6 },
    audio: { size: [8, 6], patch: [2, 2], maskRatio: 0.5, weight: 1 },
  },
  modalityTokens: true,
  width: 12,
  depth: 2,
  fusionDepth: 1,
  heads: 2,
  hidden: 16,
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  decoderHidden: 12,
  zeroPredictions: false,
} satisfies Parameters<typeof createModel<typeof avMae>>[1];

const samplesOf = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      video: { values: random.normals(4 * 4 * 6 * 2), shape: [4, 4, 6, 2] },
      audio: { values: random.normals(48), shape: [8, 6, 1] },
    },
  }));

await contractSuite({
  method: avMae,
  config,
  samples: samplesOf,
  features: 12,
  overfits: 0.7,
});

const without = (name: string, { parts }: AlignedSample): AlignedSample => ({
  parts: Object.fromEntries(Object.entries(parts).filter(([own]) => own !== name)),
});

await onEveryEngine("av-mae", () => {
  it("starts at the prediction 0, so that the loss is the mean square of what is hidden", () => {
    const model = createModel(avMae, { ...config, zeroPredictions: true });
    const ones: AlignedSample = {
      parts: {
        video: { values: new Float32Array(192).fill(2), shape: [4, 4, 6, 2] },
        audio: { values: new Float32Array(48).fill(3), shape: [8, 6, 1] },
      },
    };
    const terms = model.loss(model.prepare([ones], createRandom(1))) as unknown as Record<
      string,
      { dataSync(): Float32Array }
    >;
    expect(terms.video!.dataSync()[0]).toBeCloseTo(4, 4);
    expect(terms.audio!.dataSync()[0]).toBeCloseTo(9, 4);
    expect(terms.total!.dataSync()[0]).toBeCloseTo(0.5 * 4 + 9, 4);
  });

  it.each(["early", "mid", "shared", "separate"] as const)(
    "with encoder %s, a sample that lacks a modality is scored and encoded as if that modality did not exist",
    (encoder) => {
      const model = createModel(avMae, {
        ...config,
        encoder,
        decoder: encoder === "early" ? "joint" : "shared",
      });
      const [both, other] = samplesOf(2, createRandom(1));
      const silent = without("audio", other!);
      const lossOf = (junk: number) => {
        const batch = model.prepare([both!, silent], createRandom(2));
        const audio = { values: new Float32Array(48).fill(junk), shape: [8, 6, 1] };
        const filled = model.prepare([both!, { parts: { ...silent.parts, audio } }], createRandom(2));
        return model.loss({ ...batch, inputs: filled.inputs }).total.dataSync()[0]!;
      };
      expect(lossOf(5)).toBeCloseTo(lossOf(-1), 6);
      const together = model.encode([silent, both!]).dataSync().slice(0, 12);
      const alone = model.encode([silent]).dataSync();
      alone.forEach((value, i) => {
        expect(together[i]).toBeCloseTo(value, 5);
      });
    },
  );

  it("inpaints each modality from the other alone", () => {
    const model = createModel(avMae, { ...config, encoder: "separate", inpainting: true });
    const [one, two] = samplesOf(2, createRandom(1));
    const picture = (audio: AlignedSample) => {
      const sample = { parts: { video: one!.parts.video!, audio: audio.parts.audio! } };
      return model.reconstruct([sample], createRandom(3)).parts;
    };
    const [first, second] = [picture(one!), picture(two!)];
    expect(second.video!.combined.dataSync()).not.toEqual(first.video!.combined.dataSync());
    const batch = model.prepare([one!, without("video", two!)], createRandom(4));
    expect(Number.isFinite(model.loss(batch).total.dataSync()[0])).toBe(true);
  });
});

it("refuses arrangements in which the modalities share nothing", () => {
  const model = createModel(avMae, { ...config, encoder: "separate", decoder: "separate" });
  expect(() => model.prepare(samplesOf(1, createRandom(1)), createRandom(1))).toThrow("nothing in common");
  expect(() => createModel(avMae, { ...config, fusionDepth: 2 })).toThrow(
    "fusionDepth 2 leaves none of 2 blocks",
  );
});
