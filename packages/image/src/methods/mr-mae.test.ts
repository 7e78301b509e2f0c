import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  encodeVisible,
  flatten,
  maskedFlags,
  patchify,
  pretrain,
  type Random,
  takeRows,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { arrayImages } from "../read/array-images.js";
import type { ImageSample } from "../sample.js";
import { type MaeParams, mae } from "./mae.js";
import { mimicLoss, mrMae } from "./mr-mae.js";
import { vit } from "./vit.js";

const input: Parameters<typeof createModel<typeof mae>>[1] = {
  ...{ imageSize: [8, 12], patchSize: 4, channels: 2 },
  ...{ mean: [0.5], std: [0.25] },
};
const config = {
  ...input,
  width: 8,
  depth: 1,
  heads: 2,
  stageWidths: [4, 6],
  stageDepths: [1, 1],
  stageMlpRatios: [2, 2],
  decoderWidth: 8,
  decoderDepth: 1,
  decoderHeads: 2,
  teacherWidth: 12,
} satisfies Parameters<typeof createModel<typeof mrMae>>[1];

const newTeacher = (seed = 9) =>
  createModel(vit, { ...input, width: 12, depth: 1, heads: 2, classes: 3 }, { seed });

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(8 * 12 * 2),
    height: 8,
    width: 12,
    channels: 2,
  }));

await contractSuite({
  method: mrMae,
  config,
  samples,
  teachers: () => ({ teacher: newTeacher() }),
  features: 8,
  overfits: 0.96,
  steps: 12,
  lr: 1e-2,
});

await onEveryEngine("mr-mae", () => {
  const setup = (encoder: "vit" | "conv", given = {}) => {
    const teacher = newTeacher();
    const model = createModel(mrMae, { ...config, encoder, ...given }, { seed: 1, teachers: { teacher } });
    const batch = model.prepare(samples(2, createRandom(1)), createRandom(2));
    return { teacher, model, batch };
  };
  const value = (scalar: tf.Scalar) => scalar.dataSync()[0]!;

  it.each(["vit", "conv"] as const)(
    "mimics with %s what it sees and predicts what it does not",
    (encoder) => {
      const { model, batch, teacher } = setup(encoder);
      const { mask } = batch;
      const before = model.loss(batch);
      expect(value(before.total)).toBeCloseTo(value(before.pixel!) + value(before.mimic!), 5);
      const cells = tf.tensor4d(maskedFlags(mask), [2, 2, 3, 1]);
      const hidden = tf.image.resizeNearestNeighbor(cells as tf.Tensor4D, [8, 12]);
      // Other hidden pixels under the same features of the teacher: the mimic loss stays, the pixel loss does not.
      const noise = tf.tensor(createRandom(5).normals(hidden.size * 2), batch.images.shape);
      const changed = tf.add(batch.images, tf.mul(hidden, noise)) as tf.Tensor4D;
      const after = model.loss({ ...batch, images: changed });
      expect(value(after.mimic!)).toBeCloseTo(value(before.mimic!), 6);
      expect(Math.abs(value(after.pixel!) - value(before.pixel!))).toBeGreaterThan(1e-3);
      // Other features at hidden patches change nothing, at visible ones the mimic loss alone.
      const flags = tf.tensor3d(maskedFlags(mask), [2, 6, 1]);
      const noisy = (where: tf.Tensor) =>
        tf.add(
          batch.teacher!,
          tf.mul(tf.tensor(createRandom(6).normals(2 * 6 * 12), [2, 6, 12]), where),
        ) as tf.Tensor3D;
      const unseen = model.loss({ ...batch, teacher: noisy(flags) });
      expect(value(unseen.total)).toBeCloseTo(value(before.total), 6);
      const seen = model.loss({ ...batch, teacher: noisy(tf.sub(1, flags)) });
      expect(value(seen.pixel!)).toBe(value(before.pixel!));
      expect(Math.abs(value(seen.mimic!) - value(before.mimic!))).toBeGreaterThan(1e-3);
      for (const made of [model, teacher]) made.dispose();
    },
  );

  it.each(["mse", "smooth-l1", "cosine"] as const)(
    "has no mimic loss (%s) where the features are the teacher's",
    (kind) => {
      const features = tf.tensor(createRandom(3).normals(2 * 3 * 4), [2, 3, 4]) as tf.Tensor3D;
      const identity = { mimic_head: { weight: tf.variable(tf.eye(4)), bias: tf.variable(tf.zeros([4])) } };
      const scaled = tf.add(tf.mul(features, 2.5), 0.7) as tf.Tensor3D; // which the norm takes out
      expect(value(mimicLoss(identity, { mimicLoss: kind }, features, scaled))).toBeLessThan(1e-6);
      const other = tf.reverse(features, 2);
      expect(value(mimicLoss(identity, { mimicLoss: kind }, features, other))).toBeGreaterThan(0.1);
    },
  );

  it("equals the two losses computed one by one", () => {
    const { model, batch, teacher } = setup("vit", { mimicWeight: 0.5, pixelWeight: 2 });
    const { mask, images } = batch;
    // By hand: rows centred and divided by their deviation, squared differences averaged.
    const rows = (t: tf.Tensor) => t.reshape([-1, 12]).arraySync() as number[][];
    const normal = (row: number[]) => {
      const mean = row.reduce((a, b) => a + b, 0) / row.length;
      const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length;
      return row.map((x) => (x - mean) / Math.sqrt(variance + 1e-6));
    };
    const params = model.params as typeof model.params & MaeParams;
    const seen = createModel(mae, {
      ...input,
      width: 8,
      depth: 1,
      heads: 2,
      decoderWidth: 8,
      decoderDepth: 1,
      decoderHeads: 2,
    });
    for (const [path, variable] of flatten(seen.params)) variable.assign(flatten(params).get(path)!.clone());
    const pixel = value(seen.loss({ images, mask }).total);
    const all = encodeVisible(params, model.config, patchify(images, [4, 4]), mask);
    const latent = all.slice([0, 1, 0]); // without the class token
    const { weight, bias } = params.mimic_head;
    const mimicked = rows(
      tf.add(tf.matMul(latent.reshape([-1, 8]), weight as tf.Tensor2D, false, true), bias!),
    );
    const wanted = rows(takeRows(batch.teacher!, mask.keep));
    const errors = mimicked.map((row, i) => {
      const [a, b] = [normal(row), normal(wanted[i]!)];
      return a.reduce((sum, x, j) => sum + (x - b[j]!) ** 2, 0) / a.length;
    });
    const mimic = errors.reduce((a, b) => a + b, 0) / errors.length;
    const terms = model.loss(batch);
    expect(value(terms.pixel!)).toBeCloseTo(pixel, 5);
    expect(value(terms.mimic!)).toBeCloseTo(mimic, 4);
    expect(value(terms.total)).toBeCloseTo(2 * pixel + 0.5 * mimic, 4);
    for (const made of [model, teacher, seen]) made.dispose();
  });
});

describe("mr-mae", () => {
  it("leaves its teacher as it was, to the bit", async () => {
    const teacher = newTeacher();
    const values = () => [...flatten(teacher.params).values()].map((variable) => [...variable.dataSync()]);
    const before = values();
    const model = createModel(mrMae, config, { teachers: { teacher } });
    const data = arrayImages(createRandom(4).uniforms(8 * 8 * 12 * 2), { height: 8, width: 12, channels: 2 });
    for await (const event of pretrain(model, data, { epochs: 2, batchSize: 4, warmupEpochs: 0 }))
      if (event.type === "step") expect(Object.keys(event.terms).sort()).toEqual(["mimic", "pixel"]);
    expect(values()).toEqual(before);
  });

  it("reconstructs without its teacher", () => {
    const model = createModel(mrMae, config);
    const { reconstructed } = model.reconstruct(samples(2, createRandom(1)), createRandom(2));
    expect(reconstructed.shape).toEqual([2, 8, 12, 2]);
  });

  it("says how to give a teacher, and what is wrong with one that does not fit", () => {
    const prepare = (given: object, teachers = {}) =>
      createModel(mrMae, { ...config, ...given }, { teachers }).prepare(
        samples(1, createRandom(1)),
        createRandom(2),
      );
    expect(() => prepare({})).toThrow("--teacher teacher=FOLDER");
    expect(() => prepare({ teacherWidth: 16 }, { teacher: newTeacher() })).toThrow(
      "features (vit) are 12 wide, teacherWidth says 16",
    );
    expect(() => prepare({ patchSize: [4, 6] }, { teacher: newTeacher() })).toThrow(
      "has features of 6 patches, the student has 4",
    );
  });
});
