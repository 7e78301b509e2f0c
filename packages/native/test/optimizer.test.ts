/** The passes over all parameters. */
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { adamw, gradNorm, updateEma } from "../../core/src/optim/index.js";
import { register } from "../src/index.js";
import { next } from "./compare.js";

beforeAll(async () => {
  register();
  await tf.setBackend("native");
});

const shapes = [[300, 70], [33], [5, 7, 11], [1], [17000]];
const values = shapes.map((shape) =>
  Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => next()),
);
const gradients = [0, 1, 2].map(() =>
  shapes.map((shape) => Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => next())),
);

/** Parameters after three steps. */
function train(backend: string): Float32Array[] {
  tf.setBackend(backend);
  const params = new Map(
    shapes.map((shape, i) => [`p${i}`, tf.variable(tf.tensor(values[i]!.slice(), shape))]),
  );
  const rules = (path: string) => ({
    lrScale: path === "p1" ? 0.5 : 1,
    weightDecay: path === "p0" ? 0.1 : 0,
  });
  const optimizer = adamw({ rules });
  for (const step of gradients)
    tf.tidy(() => {
      const given = new Map(step.map((g, i) => [`p${i}`, tf.tensor(g.slice(), shapes[i]!)]));
      optimizer.step(params, given, { lr: 0.01, gradScale: 0.7 });
    });
  const result = [...params.values()].map((p) => p.dataSync().slice() as Float32Array);
  optimizer.dispose();
  tf.dispose([...params.values()]);
  return result;
}

describe("UnmaskAdamW", () => {
  it("takes the steps of the composition", () => {
    const [expected, actual] = [train("cpu"), train("native")];
    actual.forEach((parameter, i) => {
      parameter.forEach((value, j) => {
        expect(Math.abs(value - expected[i]![j]!)).toBeLessThan(2e-6);
      });
    });
  });

  it("leaves alone whatever shared data with a parameter, and the array it was made from", () => {
    tf.setBackend("native");
    const source = Float32Array.of(1, 2, 3);
    const original = tf.tensor1d(source);
    const p = tf.variable(original);
    const twin = tf.variable(original);
    const read = p.dataSync();
    const [m, v] = [tf.variable(tf.zeros([3])), tf.variable(tf.zeros([3]))];
    const attrs = {
      lrs: [0.1],
      weightDecays: [0],
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      step: 1,
      gradScale: 1,
    };
    tf.tidy(
      () => void tf.engine().runKernel("UnmaskAdamW", { p0: p, g0: tf.ones([3]), m0: m, v0: v }, attrs),
    );
    expect([...p.dataSync()].map((x) => Math.round(x * 100) / 100)).toEqual([0.9, 1.9, 2.9]);
    for (const kept of [source, read, original.dataSync(), twin.dataSync()])
      expect([...kept]).toEqual([1, 2, 3]);
  });

  it("refuses parameters and gradients of different sizes", () => {
    const attrs = {
      lrs: [0.1],
      weightDecays: [0],
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      step: 1,
      gradScale: 1,
    };
    const [three, two] = [() => tf.variable(tf.zeros([3])), tf.zeros([2])];
    expect(() =>
      tf.engine().runKernel("UnmaskAdamW", { p0: three(), g0: two, m0: three(), v0: three() }, attrs),
    ).toThrow("of its own size");
  });
});

it("UnmaskGradNorm is the norm over all gradients", () => {
  tf.setBackend("native");
  const tensors = new Map(gradients[0]!.map((g, i) => [`${i}`, tf.tensor(g.slice())]));
  const expected = Math.sqrt(gradients[0]!.reduce((sum, g) => sum + g.reduce((s, x) => s + x * x, 0), 0));
  expect(Math.abs(gradNorm(tensors).dataSync()[0]! - expected) / expected).toBeLessThan(1e-6);
  expect(gradNorm(new Map()).dataSync()[0]).toBe(0);
});

it("UnmaskEma moves targets in place and nothing else", () => {
  tf.setBackend("native");
  const [target, source] = [tf.variable(tf.fill([40], 1)), tf.variable(tf.fill([40], 3))];
  updateEma({ w: target }, { w: source }, 0.75);
  expect(new Set(target.dataSync())).toEqual(new Set([1.5]));
  expect(new Set(source.dataSync())).toEqual(new Set([3]));
});
