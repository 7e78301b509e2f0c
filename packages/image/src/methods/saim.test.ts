import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, normaliseLayer, type Random, tidy } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { blur, encodeStreams, predict, saim, seenTokens } from "./saim.js";

const config = {
  imageSize: [12, 8],
  patchSize: [4, 4],
  channels: 2,
  width: 12,
  depth: 2,
  heads: 2,
  queryDepth: 1,
  blurSize: 3,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof saim>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(12 * 8 * 2),
    height: 12,
    width: 8,
    channels: 2,
  }));

// The first patch of an order reads the class token alone, which starts small: layer norms with a small epsilon would
// bend within a finite difference.
await contractSuite({
  method: saim,
  config: { ...config, epsilon: 1 },
  samples,
  features: 12,
  overfits: 0.7,
});

await onEveryEngine("saim", () => {
  it("predicts a patch from those before it in the order and from no other, itself included", () => {
    const { params, config: complete } = createModel(saim, config);
    const noise = Float32Array.of(0.5, 0.1, 0.9, 0.3, 0.7, 0.2); // order 1 5 3 0 4 2
    const images = tf.tensor4d(createRandom(1).normals(192), [1, 12, 8, 2]);
    const altered = images.dataSync().slice();
    for (let row = 4; row < 8; row++) for (let i = 8; i < 16; i++) altered[row * 16 + i]! += 3; // patch 3
    const [before, after] = [images, tf.tensor4d(altered, [1, 12, 8, 2])].map((pixels) => {
      const rows = predict(params, complete, pixels, noise).arraySync()[0]!;
      return rows.slice(1);
    });
    const changed = before!.map((row, i) => row.some((value, j) => Math.abs(value - after![i]![j]!) > 1e-4));
    expect(changed).toEqual([true, false, true, false, true, false]);
  });

  it("encodes patches as one block of the content stream does when every patch sees all", () => {
    const model = createModel(saim, { ...config, depth: 1 }); // from the second on, the class token has seen less
    const { images } = model.prepare(samples(2, createRandom(1)), createRandom(2));
    const { content } = encodeStreams(model.params, model.config, images, new Float32Array(12)); // equal noise
    const tokens = model.encode(samples(2, createRandom(1)), { pool: "tokens" });
    const expected = normaliseLayer(content, 1e-6).slice([0, 1, 0]); // the norm is new: weight 1, bias 0
    expect(tokens.shape).toEqual([2, 6, 12]);
    expect(tf.max(tf.abs(tf.sub(expected, tokens))).dataSync()[0]).toBeLessThan(1e-5);
  });

  it("blurs each channel with a Gaussian that sums to one, zeros beyond the border", () => {
    const { params } = createModel(saim, { ...config, blurSigma: 0.8 });
    const dot = tf.tensor4d(
      Array.from({ length: 96 }, (_, i) => (i === 0 || i === 5 * 8 + 3 ? 1 : 0)), // a corner, and a place within
      [1, 12, 8, 1],
    );
    const blurred = blur(params, tf.concat([dot, tf.zerosLike(dot)], 3) as tf.Tensor4D).arraySync()[0]!;
    const near = Math.exp(-0.5 / 0.64) / (1 + 2 * Math.exp(-0.5 / 0.64));
    expect(blurred[5]![4]![0]).toBeCloseTo((1 - 2 * near) * near, 6);
    expect(blurred[6]![4]![0]).toBeCloseTo(near * near, 6);
    expect(blurred.flat().reduce((sum, pixel) => sum + pixel[0]!, 0)).toBeCloseTo(1 + (1 - near) ** 2, 5);
    expect(blurred.flat().every((pixel) => pixel[1] === 0)).toBe(true);
  });
});

it("lets everybody see the class token, which sees itself only, and equal noise only in the content stream", () => {
  const noise = Float32Array.of(0.4, 0.2, 0.4);
  const seen = (stream: "content" | "query") => tidy(() => seenTokens(noise, 1, stream).arraySync())[0]![0];
  expect(seen("content")).toEqual([
    [1, 0, 0, 0],
    [1, 1, 1, 1],
    [1, 0, 1, 0],
    [1, 1, 1, 1],
  ]);
  expect(seen("query")).toEqual([
    [1, 0, 0, 0],
    [1, 0, 1, 0],
    [1, 0, 0, 0],
    [1, 0, 1, 0],
  ]);
});

it("names depths that do not divide and a blur without a centre", () => {
  expect(() => createModel(saim, { ...config, depth: 3, queryDepth: 2 })).toThrow(
    "queryDepth 2 does not divide depth 3",
  );
  expect(() => createModel(saim, { ...config, blurSize: 4 })).toThrow("blurSize must be odd");
});
