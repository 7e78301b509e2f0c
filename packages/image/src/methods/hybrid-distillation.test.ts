import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  flatten,
  type Model,
  pretrain,
  type Random,
  smoothL1,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { arrayImages } from "../read/array-images.js";
import type { ImageSample } from "../sample.js";
import { modelRelations, type Relations, relationLoss } from "../token-relations.js";
import { encodeDropping, hybridDistillation, tokensLeft } from "./hybrid-distillation.js";
import { mae } from "./mae.js";
import { spark } from "./spark.js";
import { vit } from "./vit.js";

type Config = NonNullable<Parameters<typeof createModel<typeof hybridDistillation>>[1]>;

const input: Pick<Config, "imageSize" | "patchSize" | "channels" | "mean" | "std"> = {
  ...{ imageSize: [8, 16], patchSize: 4, channels: 1 },
  ...{ mean: [0.5], std: [0.25] },
};
const config: Config = {
  ...input,
  width: 8,
  depth: 2,
  heads: 2,
  contrastiveWidth: 12,
  dropSteps: 1,
  redundantShare: 0.5,
};

const newTeachers = () => ({
  contrastive: createModel(
    vit,
    { ...input, width: 12, depth: 1, heads: 3, classes: 3 },
    { seed: 8 },
  ) as Model,
  mae: createModel(
    mae,
    { ...input, width: 16, depth: 3, heads: 4, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 },
    { seed: 9 },
  ) as Model,
});

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, () => ({
    pixels: random.uniforms(8 * 16),
    height: 8,
    width: 16,
    channels: 1,
  }));

const value = (scalar: tf.Scalar) => scalar.dataSync()[0]!;

await contractSuite({
  method: hybridDistillation,
  config,
  samples,
  teachers: newTeachers,
  features: 8,
  overfits: 0.9,
  steps: 12,
  lr: 1e-2,
});

await onEveryEngine("hybrid-distillation", () => {
  it("has no relation loss where the student is the masked autoencoder", () => {
    const { contrastive } = newTeachers();
    const size = { ...input, width: 8, depth: 3, heads: 2 };
    const teacher = createModel(
      mae,
      { ...size, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 },
      { seed: 4 },
    );
    const given = { ...size, contrastiveWidth: 12, dropSteps: 0 };
    const student = createModel(hybridDistillation, given, {
      teachers: { contrastive, mae: teacher as Model },
    });
    const relation = () => {
      const batch = student.prepare(samples(2, createRandom(1)), createRandom(2));
      return value(student.loss(batch).relation!);
    };
    expect(relation()).toBeGreaterThan(1e-4);
    const own = flatten(teacher.params);
    for (const [path, variable] of flatten(student.params)) {
      const same = own.get(path);
      if (same !== undefined) variable.assign(same.clone());
    }
    expect(Math.abs(relation())).toBeLessThan(1e-6);
  });

  it("has no feature loss where the student's features are the normalised ones of the teacher", () => {
    const student = createModel(hybridDistillation, { ...config, contrastiveWidth: 8 }, { seed: 2 });
    const images = tf.tensor4d(createRandom(3).normals(2 * 8 * 16), [2, 8, 16, 1]);
    const { last } = encodeDropping(student.params, student.config, images, createRandom(5).uniforms(16));
    student.params.feature_head.weight.assign(tf.eye(8));
    student.params.feature_head.bias!.assign(tf.zeros([8]));
    // A teacher whose features are a multiple of the student's, which the norm takes out; elsewhere it may say anything.
    const rows = last.tokens.dataSync();
    const left = last.places.length / 2;
    const features = tf.buffer([2, 8, 8], "float32", new Float32Array(128).fill(0.3));
    last.places.forEach((place, i) => {
      for (let d = 0; d < 8; d++) features.set(3 * rows[i * 8 + d]! + d, Math.floor(i / left), place, d);
    });
    const wanted = tf.buffer([2, 8, 8], "float32", features.values.slice());
    last.places.forEach((place, i) => {
      for (let d = 0; d < 8; d++) wanted.set(3 * rows[i * 8 + d]!, Math.floor(i / left), place, d);
    });
    const relations = {
      q: tf.zeros([2, 8, 8]),
      k: tf.zeros([2, 8, 8]),
      v: tf.zeros([2, 8, 8]),
    } as unknown as Relations;
    const feature = (target: tf.Tensor) =>
      value(
        hybridDistillation.loss(student.params, student.config, {
          images,
          noise: createRandom(5).uniforms(16),
          features: target as tf.Tensor3D,
          relations,
        }).feature,
      );
    expect(left).toBe(6);
    expect(feature(wanted.toTensor())).toBeLessThan(1e-6);
    expect(feature(features.toTensor())).toBeGreaterThan(1e-3);
  });

  it("takes relations of two tokens and one head as computed by hand", () => {
    const rows = (...values: number[]) => tf.tensor(values, [1, 2, 1]) as tf.Tensor3D;
    const student = { q: rows(1, 0), k: rows(1, 2), v: rows(1, 1) };
    const teacher = { q: rows(0, 0), k: rows(5, 7), v: rows(1, 0) };
    // R_qk: student softmax(1, 2), softmax(0, 0); teacher even. R_vv: student even; teacher softmax(1, 0), even.
    const softmax = 1 / (1 + Math.exp(-1));
    const even = Math.log(0.5) - 0.5 * (Math.log(softmax) + Math.log(1 - softmax));
    const vv = softmax * Math.log(2 * softmax) + (1 - softmax) * Math.log(2 * (1 - softmax));
    expect(value(relationLoss(student, teacher, 1))).toBeCloseTo((even / 2 + vv / 2) / 2, 6);
  });

  it("gathers the teachers by the places that are left, and looks at no others", () => {
    const teachers = newTeachers();
    const student = createModel(hybridDistillation, { ...config, relationLayer: 2 }, { teachers });
    const batch = student.prepare(samples(2, createRandom(1)), createRandom(2));
    const { last } = encodeDropping(student.params, student.config, batch.images, batch.noise);
    const left = last.places.length / 2;
    const flags = new Float32Array(16).fill(1);
    last.places.forEach((place, i) => {
      flags[Math.floor(i / left) * 8 + place] = 0;
    });
    const gone = tf.tensor3d(flags, [2, 8, 1]);
    const noisy = (t: tf.Tensor3D, where: tf.Tensor) =>
      tf.add(t, tf.mul(tf.tensor(createRandom(7).normals(t.size), t.shape), where)) as tf.Tensor3D;
    const with_ = (where: tf.Tensor) => {
      const { q, k, v } = batch.relations;
      const relations = { q: noisy(q, where), k: noisy(k, where), v: noisy(v, where) };
      return student.loss({ ...batch, features: noisy(batch.features, where), relations });
    };
    const before = student.loss(batch);
    const [unseen, seen] = [with_(gone), with_(tf.sub(1, gone))];
    for (const term of ["relation", "feature"]) {
      expect(value(unseen[term]!)).toBeCloseTo(value(before[term]!), 6);
      expect(Math.abs(value(seen[term]!) - value(before[term]!))).toBeGreaterThan(1e-4);
    }
  });

  it("drops tokens that are like the others, at random among them", () => {
    // Patches 0, 1, 3 point one way; 2 and 4 two others.
    const tokens = [
      [9, 9, 9],
      [1, 0, 0],
      [2, 0, 0],
      [0, 1, 0],
      [1, 0.1, 0],
      [0, 0, 1],
    ];
    const x = tf.tensor([tokens]);
    const places = Int32Array.from([0, 1, 2, 3, 4]);
    const shares = { redundantShare: 0.6, dropShare: 0.34 };
    const left = (...draws: number[]) => tokensLeft(shares, x, places, Float32Array.from(draws));
    expect([...left(0.2, 0.1, 0, 0.3, 0).places]).toEqual([0, 2, 3, 4]);
    expect([...left(0.2, 0.3, 0, 0.1, 0).places]).toEqual([0, 1, 2, 4]);
    expect([...left(0.2, 0.3, 0, 0.1, 0).rows]).toEqual([0, 1, 2, 3, 5]);
    const twice = tokensLeft(
      { redundantShare: 0.6, dropShare: 0.67 },
      x,
      places,
      Float32Array.of(0.1, 0.2, 0, 0.3, 0),
    );
    expect([...twice.places]).toEqual([2, 3, 4]);
  });
});

describe("hybrid-distillation", () => {
  it("leaves both teachers as they were, to the bit", async () => {
    const teachers = newTeachers();
    const values = () =>
      Object.values(teachers).flatMap(({ params }) =>
        [...flatten(params).values()].map((v) => [...v.dataSync()]),
      );
    const before = values();
    const model = createModel(hybridDistillation, config, { teachers });
    const data = arrayImages(createRandom(4).uniforms(8 * 8 * 16), { height: 8, width: 16, channels: 1 });
    for await (const event of pretrain(model, data, { epochs: 2, batchSize: 4, warmupEpochs: 0 }))
      if (event.type === "step") expect(Object.keys(event.terms).sort()).toEqual(["feature", "relation"]);
    expect(values()).toEqual(before);
  });

  it("scores features by smooth-L1 with beta 2", () => {
    const [a, b] = [tf.tensor([[0, 3]]), tf.tensor([[1, 0]])];
    expect(value(smoothL1(a, b, { beta: 2 }))).toBeCloseTo((1 / 4 + 2) / 2, 6); // 1^2 / 4, and 3 - 1
  });

  it("names a teacher that has no relations, a layer that is not there and heads that do not divide", () => {
    const teachers = newTeachers();
    const small = createModel(spark, {
      preset: "tiny",
      imageSize: [8, 16],
      width: 2,
      decoderWidth: 8,
      channels: 1,
    });
    const [sample] = samples(1, createRandom(1));
    expect(() => modelRelations("x", small as Model, [sample!])).toThrow("spark has no token relations");
    expect(() => modelRelations("x", teachers.mae, [sample!], 4)).toThrow(
      "layer 4 of a teacher (mae) that has 3",
    );
    expect(() => createModel(hybridDistillation, { ...config, relationLayer: 3 })).toThrow("relationLayer 3");
    const model = createModel(hybridDistillation, { ...config, relationHeads: 3 }, { teachers });
    const batch = model.prepare([sample!], createRandom(2));
    expect(() => model.loss(batch)).toThrow("8 channels do not divide into 3 heads");
    expect(() => createModel(hybridDistillation, config).prepare([sample!], createRandom(1))).toThrow(
      "--teacher contrastive=FOLDER",
    );
  });
});
