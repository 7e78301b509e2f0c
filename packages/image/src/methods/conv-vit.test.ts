import type { Random } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import type { ImageSample } from "../sample.js";
import { convVit } from "./conv-vit.js";

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, (_, i) => ({
    pixels: random.uniforms(8 * 12),
    height: 8,
    width: 12,
    channels: 1,
    label: i % 3,
  }));

await contractSuite({
  method: convVit,
  config: {
    imageSize: [8, 12],
    patchSize: 4,
    channels: 1,
    width: 8,
    depth: 2,
    heads: 2,
    stageWidths: [4, 6],
    stageDepths: [1, 1],
    stageMlpRatios: [2, 2],
    classes: 3,
    dropPath: 0.2,
    smoothing: 0.1,
    mixup: 0.8,
    cutmix: 1,
    mean: [0.5],
    std: [0.25],
  },
  samples,
  features: 8,
});
