import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { motionNoise } from "../skeleton/motion.js";
import type { SkeletonSample } from "../skeleton/sample.js";
import { motionMask, skeletonMae, targetOf } from "./skeleton-mae.js";

const config = {
  joints: 5,
  frames: 8,
  persons: 2,
  framesPerToken: 2,
  width: 16,
  depth: 1,
  heads: 2,
  decoderWidth: 12,
  decoderDepth: 1,
  decoderHeads: 2,
} satisfies Parameters<typeof createModel<typeof skeletonMae>>[1];

const samples = (count: number, random: Random): SkeletonSample[] =>
  Array.from({ length: count }, () => ({
    positions: random.normals(2 * 8 * 5 * 3),
    persons: 2,
    frames: 8,
    joints: 5,
    channels: 3,
  }));

await contractSuite({ method: skeletonMae, config, samples, features: 16, overfits: 0.8 });

await onEveryEngine("skeleton-mae", () => {
  it("reconstructs the hidden joints and leaves the others where they are", () => {
    const model = createModel(skeletonMae, config, { seed: 2 });
    const { original, reconstructed, hidden } = model.reconstruct(
      samples(2, createRandom(3)),
      createRandom(4),
    );
    expect(reconstructed.shape).toEqual([4, 8, 5, 3]);
    const flags = hidden.dataSync() as Float32Array;
    // Frames 0.4 of 4 slots: 1; joints 0.6 of 5: 3 in each of the other 3 slots; 2 frames a slot.
    expect(flags.reduce((sum, flag) => sum + flag, 0)).toBe(4 * 2 * (5 + 3 * 3));
    const [before, after] = [original.dataSync(), reconstructed.dataSync()];
    before.forEach((value, i) => {
      if (flags[Math.floor(i / 3)] === 0) expect(after[i]).toBe(value);
      else expect(after[i]).not.toBe(value);
    });
    disposeAll([original, reconstructed, hidden]);
    model.dispose();
  });

  it("motion as target is the change over the stride, zero at the end", () => {
    const model = createModel(skeletonMae, { ...config, target: "motion", motionStride: 3 }, { seed: 2 });
    const clip = tf.range(0, 8).reshape([1, 8, 1, 1]).tile([1, 1, 5, 3]).square() as tf.Tensor4D; // x = t^2
    const target = targetOf(model.config, clip).dataSync(); // [1, 4 * 5, 2 * 3]
    const at = (frame: number) => target[(frame >> 1) * 5 * 6 + (frame % 2) * 3]!;
    expect(Array.from({ length: 8 }, (_, t) => at(t))).toEqual([9, 15, 21, 27, 33, 0, 0, 0]);
    model.dispose();
  });
});

describe("motion mask", () => {
  it("hides the joint that moves, nearly always, and any joint when none does", () => {
    const still = tf.zeros([64, 8, 5, 3]) as tf.Tensor4D;
    const moving = tf.mul(
      tf.range(0, 8).square().reshape([1, 8, 1, 1]),
      tf.tensor([0, 0, 1, 0, 0]).reshape([1, 1, 5, 1]),
    );
    const clips = tf.add(still, moving) as tf.Tensor4D;
    const model = createModel(
      skeletonMae,
      { ...config, mask: "motion", maskRatio: 0.5, motionTemperature: 0.05 },
      { seed: 1 },
    );
    const uniform = createRandom(9).uniforms(64 * 20);
    const seen = (of: tf.Tensor4D) =>
      motionMask(model.config, of, uniform).keep.filter((token) => token === 17).length; // joint 2 at last
    expect(seen(clips)).toBeLessThan(3);
    expect(seen(still)).toBeGreaterThan(20);
    model.dispose();
  });

  it("is the log of the softmax plus a Gumbel draw", () => {
    const [first, second] = motionNoise([1, 3], [0.5, 0.25], 1, 0.5);
    const z = [1 / 1.5, 3 / 1.5].map(Math.exp);
    const expected = [0.5, 0.25].map((u, i) => Math.log(z[i]! / (z[0]! + z[1]!)) - Math.log(-Math.log(u)));
    expect(first).toBeCloseTo(expected[0]!, 6);
    expect(second).toBeCloseTo(expected[1]!, 6);
  });

  it("names the sizes that do not fit", () => {
    const model = createModel(skeletonMae, config);
    const odd = { ...samples(1, createRandom(1))[0]!, frames: 4 };
    expect(() => model.encode([odd])).toThrow("skeleton-mae: expected 8 frames of 5 joints");
    expect(() => createModel(skeletonMae, { frames: 30 })).toThrow(
      "30 frames and 25 joints are not multiples",
    );
    model.dispose();
  });
});
