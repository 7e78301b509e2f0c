import { createModel, createRandom, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { multiMae } from "./multi-mae.js";

const config = {
  imageSize: [8, 12],
  patchSize: 4,
  modalities: { rgb: 3, depth: 1 },
  outputs: ["rgb", "depth", "norm_rgb"],
  absolute: ["depth"],
  width: 12,
  depth: 2,
  heads: 2,
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  visibleTokens: 4,
} satisfies Parameters<typeof createModel<typeof multiMae>>[1];

const samplesOf = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      rgb: { values: random.uniforms(8 * 12 * 3), shape: [8, 12, 3] },
      depth: { values: random.uniforms(8 * 12), shape: [8, 12, 1] },
    },
  }));

await contractSuite({
  method: multiMae,
  config,
  samples: samplesOf,
  features: 12,
  overfits: 0.8,
});

await onEveryEngine("multi-mae", () => {
  it("trains on samples that lack a modality: it is neither seen nor scored there", () => {
    const model = createModel(multiMae, config);
    const [both, other] = samplesOf(2, createRandom(1));
    const lone: AlignedSample = { parts: { depth: other!.parts.depth! } };
    const batch = model.prepare([both!, lone], createRandom(2));
    const seen = Array.from(batch.mask.keep.subarray(4));
    expect(seen.every((token) => token >= 6)).toBe(true); // the first six are of rgb
    const losses = [0, 7].map((value) => {
      const junk = {
        ...other!,
        parts: { rgb: { values: new Float32Array(288).fill(value), shape: [8, 12, 3] } },
      };
      const images = { ...batch.images, rgb: model.prepare([both!, junk], createRandom(2)).images.rgb! };
      return model.loss({ ...batch, images }).total.dataSync()[0];
    });
    expect(losses[1]).toBe(losses[0]);
    expect(model.encode([lone, both!]).shape).toEqual([2, 12]);
    expect(() => model.encode([{ parts: { sound: both!.parts.rgb! } }])).toThrow(
      "the model takes rgb, depth",
    );
  });
});

it("names an output that no modality stands for", () => {
  expect(() => createModel(multiMae, { ...config, outputs: ["thermal"] })).toThrow(
    "output thermal is none of rgb",
  );
});
