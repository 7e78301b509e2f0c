import { createModel, type Random } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { mindEyeLowLevel } from "./mind-eye-low-level.js";

const config = {
  voxels: 10,
  imageSize: [8, 4],
  channels: 2,
  hidden: 16,
  blocks: 1,
  mapChannels: 8,
  doublings: 1,
} satisfies Parameters<typeof createModel<typeof mindEyeLowLevel>>[1];

await contractSuite({
  method: mindEyeLowLevel,
  config,
  samples: (count: number, random: Random): AlignedSample[] =>
    Array.from({ length: count }, () => ({
      parts: {
        voxels: { values: random.normals(10), shape: [10] },
        picture: { values: random.uniforms(64), shape: [8, 4, 2] },
      },
    })),
  features: 4 * 2 * 8,
  overfits: 0.7,
});

it("names sizes that cannot be halved", () => {
  expect(() => createModel(mindEyeLowLevel, { ...config, imageSize: 9 })).toThrow(
    "imageSize 9x9 cannot be halved",
  );
});
