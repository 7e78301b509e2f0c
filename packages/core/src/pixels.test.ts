import { expect, it } from "vitest";
import { channelStatistics, normalisePixels, pixelInputShape } from "./pixels.js";

it("takes a value for each channel, one for all, or ImageNet's averaged for other channel counts", () => {
  expect(channelStatistics({ channels: 2, mean: [0.1, 0.2], std: [1] })).toEqual({
    mean: [0.1, 0.2],
    std: [1, 1],
  });
  const mean = pixelInputShape.mean.parse(undefined);
  const std = pixelInputShape.std.parse(undefined);
  expect(channelStatistics({ channels: 1, mean, std }).mean[0]).toBeCloseTo(0.449, 9);
  expect(() => channelStatistics({ channels: 2, mean: [0, 0, 0], std: [1] })).toThrow(
    "mean has 3 values for 2 channels",
  );
});

it("writes (value / white - mean) / deviation where it is told, white being the type's largest", () => {
  const values = new Float32Array(6);
  normalisePixels(Uint8Array.of(0, 255, 51, 102), { mean: [0, 0.5], std: [1, 0.5] }, values, 2);
  expect([...values].map((value) => Math.round(1e6 * value) / 1e6)).toEqual([0, 0, 0, 1, 0.2, -0.2]);
  normalisePixels(Float32Array.of(3, 4), { mean: [1], std: [2] }, values, 0);
  expect([...values.subarray(0, 2)]).toEqual([1, 1.5]);
});
