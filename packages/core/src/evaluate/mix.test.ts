import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { createRandom } from "../random.js";
import { boxOf, cutmix, drawMix, type Mix, mixBatch, mixup, ownShare, softTargets } from "./mix.js";

describe("softTargets", () => {
  it("smooths as timm does: off = s / classes, on = 1 - s + off", () => {
    const targets = softTargets([1, 3], 4, 0.1);
    [0.025, 0.925, 0.025, 0.025, 0.025, 0.025, 0.025, 0.925].forEach((value, i) => {
      expect(targets[i]).toBeCloseTo(value, 6);
    });
    expect([...softTargets([2], 3)]).toEqual([0, 0, 1]);
    expect(() => softTargets([-1], 3)).toThrow("label -1 of sample 0 is outside 0..2");
    expect(() => softTargets([0], 3, 1)).toThrow("smoothing must be in [0, 1)");
  });
});

describe("mixup and cutmix", () => {
  it("mixes a batch with itself reversed, or in the order given", () => {
    const x = tf.tensor2d([1, 2, 4], [3, 1]);
    expect([...mixup(x, 0.75).dataSync()]).toEqual([1.75, 2, 3.25]);
    expect([...mixup(x, 0.75, Int32Array.of(1, 2, 0)).dataSync()]).toEqual([1.25, 2.5, 3.25]);
    expect(() => mixup(x, 0.5, Int32Array.of(0))).toThrow("expected an order of 3 samples, got 1");
  });

  it("takes the box from the other image and the targets by its true area", () => {
    const images = tf.tensor4d([...Array(12).fill(1), ...Array(12).fill(2)], [2, 3, 4, 1]);
    const box = boxOf(0.5, 0, 3, 3, 4); // ratio 0.707: 2 x 2 before the cut at the corner
    expect(box).toEqual({ top: 0, bottom: 1, left: 2, right: 4 });
    expect(ownShare(box, 3, 4)).toBeCloseTo(10 / 12, 12);
    expect([...cutmix(images, box).dataSync()].slice(0, 12)).toEqual([1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    const mix: Mix = { kind: "cutmix", lambda: ownShare(box, 3, 4), box };
    const targets = tf.tensor2d(softTargets([0, 1], 2), [2, 2]);
    const mixed = mixBatch(images, targets, mix).targets.arraySync();
    expect(mixed[0]![0]).toBeCloseTo(10 / 12, 6);
    expect(mixed[1]![0]).toBeCloseTo(2 / 12, 6);
    expect(() => cutmix(images, { ...box, right: 5 })).toThrow("leaves an image of 3x4");
  });

  it("keeps no tensor but the results, and hands out copies when nothing is mixed", () => {
    const images = tf.zeros([2, 2, 2, 1]) as tf.Tensor4D;
    const targets = tf.zeros([2, 3]) as tf.Tensor2D;
    const before = tf.memory().numTensors;
    const mixes: Mix[] = [
      { kind: "none", lambda: 1 },
      { kind: "mixup", lambda: 0.3 },
      { kind: "cutmix", lambda: 1, box: { top: 1, bottom: 1, left: 0, right: 2 } },
    ];
    for (const mix of mixes) tf.dispose(Object.values(mixBatch(images, targets, mix)));
    expect(tf.memory().numTensors).toBe(before);
    expect(images.isDisposed).toBe(false);
  });
});

describe("drawMix", () => {
  const draws = (options: Parameters<typeof drawMix>[0], count = 4000) => {
    const random = createRandom(9);
    return Array.from({ length: count }, () => drawMix(options, [16, 24], random));
  };
  const share = (mixes: Mix[], kind: Mix["kind"]) =>
    mixes.filter((m) => m.kind === kind).length / mixes.length;

  it("draws mixup, cutmix and neither with the probabilities given", () => {
    const mixes = draws({ mixup: 0.8, cutmix: 1, probability: 0.8, switchProbability: 0.25 });
    expect(share(mixes, "none")).toBeCloseTo(0.2, 1);
    expect(share(mixes, "cutmix")).toBeCloseTo(0.2, 1);
    expect(share(mixes, "mixup")).toBeCloseTo(0.6, 1);
    expect(share(draws({ mixup: 0.8 }, 50), "mixup")).toBe(1);
    expect(share(draws({ cutmix: 1 }, 50), "cutmix")).toBe(1);
    expect(share(draws({}, 50), "none")).toBe(1);
  });

  it.each([0.2, 0.8, 1, 3])("draws lambda from Beta(%s, same)", (alpha) => {
    const lambdas = draws({ mixup: alpha }).map(({ lambda }) => lambda);
    const mean = lambdas.reduce((a, b) => a + b) / lambdas.length;
    const variance = lambdas.reduce((sum, l) => sum + (l - mean) ** 2, 0) / lambdas.length;
    const expected = 1 / (4 * (2 * alpha + 1));
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(expected / lambdas.length));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(0.1);
  });

  it("gives boxes inside the image, whose area is what lambda says", () => {
    for (const mix of draws({ cutmix: 1 }, 500)) {
      if (mix.kind !== "cutmix") throw new Error(mix.kind);
      const { top, bottom, left, right } = mix.box;
      expect(top >= 0 && top <= bottom && bottom <= 16 && left >= 0 && left <= right && right <= 24).toBe(
        true,
      );
      expect(mix.lambda).toBeCloseTo(1 - ((bottom - top) * (right - left)) / (16 * 24), 12);
    }
  });

  it("refuses alphas that are no numbers of a Beta distribution", () => {
    expect(() => drawMix({ mixup: -1 }, [4, 4], createRandom(0))).toThrow(
      "must be 0 or positive, got -1 and 0",
    );
  });
});
