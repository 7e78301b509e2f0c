import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  encodeVisible,
  type Model,
  maskedFlags,
  maskFromOrders,
  patchify,
  type Random,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import {
  type EdgeMaeBatch,
  type EdgeMaeConfig,
  type EdgeMaeParams,
  edgeMae,
  edgesOf,
  patchWeights,
  predictAll,
} from "./edge-mae.js";

const config = {
  imageSize: [12, 16],
  patchSize: [4, 4],
  channels: 2,
  width: 16,
  depth: 2,
  heads: 2,
  decoderWidth: 12,
  decoderDepth: 1,
  decoderHeads: 3,
  mean: [0.5],
  std: [0.25],
} satisfies Parameters<typeof createModel<typeof edgeMae>>[1];

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(12 * 16 * 2),
    height: 12,
    width: 16,
    channels: 2,
  }));

await contractSuite({
  method: edgeMae,
  config,
  samples,
  features: 16,
  overfits: 0.7,
  withNoiseAtVisible(model, batch, random) {
    const { params, config } = model as Model<EdgeMaeConfig, ImageSample, EdgeMaeBatch, EdgeMaeParams>;
    const { images, mask } = batch as EdgeMaeBatch;
    const latent = encodeVisible(params, config, patchify(images, config.patchSize), mask);
    const predicted = predictAll(params, config, latent, mask);
    const pixels = tf.add(tf.mul(images, 0.25), 0.5) as tf.Tensor4D;
    const flags = tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]);
    const error = (prediction: tf.Tensor, target: tf.Tensor4D) => {
      const noise = tf.mul(tf.tensor(random.normals(prediction.size), prediction.shape), tf.sub(1, flags));
      const squares = tf.square(tf.sub(tf.add(prediction, noise), patchify(target, config.patchSize)));
      const weighted = tf.mul(tf.mul(tf.mean(squares, 2), patchWeights(config, mask)), flags.squeeze([2]));
      return tf.div(tf.sum(weighted), tf.sum(flags));
    };
    return tf.add(
      tf.mul(error(predicted.image, pixels), config.imageWeight),
      tf.mul(error(predicted.edge, edgesOf(pixels)), config.edgeWeight),
    ) as tf.Scalar;
  },
});

await onEveryEngine("edge-mae", () => {
  it("finds a step from black to white, no edge where nothing changes, and none at the border", () => {
    const step = tf.tensor4d(
      Float32Array.from({ length: 36 }, (_, i) => (i % 6 < 3 ? 0 : 0.2)),
      [1, 6, 6, 1],
    );
    const rows = edgesOf(step).reshape([6, 6]).arraySync() as number[][];
    for (const row of rows)
      for (const [x, edge] of row.entries()) expect(edge).toBeCloseTo(x === 2 || x === 3 ? 0.8 : 0, 6);
    const strong = edgesOf(tf.mul(step, 5) as tf.Tensor4D)
      .max()
      .dataSync()[0];
    expect(strong).toBe(1);
  });

  it("weighs the middle of a hole twice, or as one where shallow patches come first", () => {
    const { config: full } = createModel(edgeMae, config);
    // All but the first place hidden, on 3 x 4 places.
    const mask = maskFromOrders(
      Int32Array.from({ length: 12 }, (_, i) => i),
      1,
      1,
    );
    const deep = patchWeights(full, mask).dataSync();
    const shallow = patchWeights({ ...full, weighting: "shallow" }, mask).dataSync();
    expect(deep[6]).toBeCloseTo(2, 6); // nine hidden patches around and at it
    expect(deep[5]).toBeCloseTo(1 + 8 / 9, 6); // one of them is seen
    expect(deep[11]).toBeCloseTo(1 + 4 / 9, 6); // a corner
    for (const [i, weight] of deep.entries()) expect(shallow[i]).toBeCloseTo(3 - weight, 6);
  });

  it("scores pixels between black and white, whatever the input is normalised by", () => {
    const random = createRandom(4);
    const given = samples(2, random);
    const [plain, normalised] = [
      { mean: [0], std: [1] },
      { mean: [0.5], std: [0.25] },
    ].map((statistics) => createModel(edgeMae, { ...config, ...statistics }, { seed: 1 }));
    const pictures = [plain!, normalised!].map((model) => model.reconstruct(given, createRandom(2)));
    const [first, second] = pictures.map(({ original }) => original.dataSync());
    for (const [i, value] of first!.entries()) expect(second![i]).toBeCloseTo(value, 5);
    for (const { reconstructed } of pictures)
      for (const value of reconstructed.dataSync()) expect(value > 0 && value < 1).toBe(true);
  });
});
