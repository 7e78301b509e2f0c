import { createModel, createRandom, type Random } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { vit } from "./vit.js";

const config = {
  imageSize: 8,
  patchSize: 4,
  channels: 1,
  width: 16,
  depth: 2,
  heads: 2,
  classes: 3,
  dropPath: 0.2,
  smoothing: 0.1,
  mixup: 0.8,
  cutmix: 1,
  mean: [0.5],
  std: [0.25],
};

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, (_, i) => ({
    pixels: random.uniforms(64),
    height: 8,
    width: 8,
    channels: 1,
    label: i % 3,
  }));

for (const pool of ["cls", "mean"] as const)
  await contractSuite({ method: vit, config: { ...config, pool }, samples, features: 16 });

it("refuses samples without a label or with one beyond the classes", () => {
  const model = createModel(vit, config);
  const [sample] = samples(1, createRandom(1));
  expect(() => model.prepare([{ ...sample!, label: 3 }], createRandom(1))).toThrow(
    "label 3 of sample 0 is outside 0..2",
  );
  expect(() => model.prepare([{ ...sample!, label: undefined }], createRandom(1))).toThrow(
    "label -1 of sample 0",
  );
});
