import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import "@tensorflow/tfjs-backend-wasm";
import { createRandom } from "../random.js";
import { gradientCheck } from "../testing/gradient-check.js";
import { dropout, dropoutScale } from "./dropout.js";
import { edgeSoftmax, edgeSum, sortEdges } from "./edges.js";
import { takeOrFill } from "./take-rows.js";

// Node 3 hears nothing; 1 hears 0 twice; 2 hears itself.
const from = Int32Array.of(2, 0, 0, 2, 1, 0);
const to = Int32Array.of(0, 1, 1, 2, 2, 2);
const { edges, order } = sortEdges(from, to, 3, 4);
const random = createRandom(3);
const normal = (...shape: number[]) => tf.tensor(random.normals(tf.util.sizeFromShape(shape)), shape);
const weigh = (y: tf.Tensor) => tf.sum(tf.mul(y, tf.sin(tf.range(1, y.size + 1)).reshape(y.shape)));

function expectGradient(f: (...xs: tf.Tensor[]) => tf.Tensor, ...inputs: tf.Tensor[]) {
  const { error, directions } = gradientCheck((...xs) => weigh(f(...xs)), inputs, createRandom(11));
  expect(error, JSON.stringify(directions)).toBeLessThan(5e-3);
}

describe.each(["cpu", "wasm"])("edges on %s", (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it("edgeSum adds what comes in, head by head, and gives zeros where nothing does", () => {
    const x = tf.tensor2d([1, 10, 2, 20, 3, 30], [3, 2]);
    expect(edgeSum(x, edges).arraySync()).toEqual([
      [3, 30],
      [2, 20],
      [6, 60],
      [0, 0],
    ]);
    const weights = Float32Array.from([...order].flatMap((edge) => [edge, 1]));
    expect(edgeSum(x, edges, weights, 2).arraySync()).toEqual([
      [0, 30],
      [3, 20],
      [3 * 3 + 4 * 2 + 5, 60],
      [0, 0],
    ]);
  });

  it("edgeSum has the gradient of its parts, by what is summed and by the weights", () => {
    const [x, weights] = [normal(3, 4), normal(6, 2)];
    expectGradient((values, w) => edgeSum(values, edges, w, 2), x, weights);
    const constants = random.normals(6);
    expectGradient((values) => edgeSum(values, edges, constants), x);
    expectGradient((values) => edgeSum(values, edges), x);
  });

  it("edgeSoftmax sums to one over what comes in, however large the logits", () => {
    const logits = tf.tensor2d([90, 1e3, -1e3, 2, 1, 7], [6, 1]);
    const y = edgeSoftmax(logits, edges).dataSync();
    expect(y[0]).toBe(1);
    expect(y[1]! + y[2]!).toBeCloseTo(1, 6);
    expect(y[3]! + y[4]! + y[5]!).toBeCloseTo(1, 6);
    expectGradient((x) => edgeSoftmax(x, edges), normal(6, 2));
  });

  it("a graph without edges gives zeros", () => {
    const none = sortEdges(new Int32Array(0), new Int32Array(0), 2).edges;
    expect(edgeSum(normal(2, 3), none).arraySync()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(edgeSoftmax(tf.zeros([0, 2]), none).shape).toEqual([0, 2]);
  });

  it("takeOrFill fills, and hands its gradient to what it fills with", () => {
    const x = normal(3, 2);
    const index = Int32Array.of(2, -1, 0, -1);
    const y = takeOrFill(x, index, tf.tensor1d([5, 6])).arraySync();
    const rows = x.arraySync() as number[][];
    expect(y).toEqual([rows[2], [5, 6], rows[0], [5, 6]]);
    expectGradient((fill) => takeOrFill(x, index, fill), normal(1, 2));
  });

  it("dropout drops its share, scales the rest, and drops the same places of the gradient", () => {
    const x = tf.fill([20_000], 2);
    const y = dropout(x, 0.2, 7).dataSync();
    const kept = y.filter((value) => value !== 0);
    expect(Math.abs(kept.length / y.length - 0.8)).toBeLessThan(0.01);
    expect(kept.every((value) => Math.abs(value - 2.5) < 1e-6)).toBe(true);
    const gradient = tf
      .grad((values) => tf.sum(dropout(values, 0.2, 7)))(x)
      .dataSync();
    expect(gradient.every((value, i) => (value !== 0) === (y[i] !== 0))).toBe(true);
    expect([...dropoutScale(20_000, 0.2, 7)].every((value, i) => (value !== 0) === (y[i] !== 0))).toBe(true);
    const other = dropout(x, 0.2, 8).dataSync();
    const both = y.filter((value, i) => value === 0 && other[i] === 0).length / y.length;
    expect(Math.abs(both - 0.04)).toBeLessThan(0.01);
  });
});

it("says which edge or index is wrong", () => {
  expect(() => sortEdges(Int32Array.of(0), Int32Array.of(3), 3)).toThrow("target 3 is outside 0..2");
  expect(() => sortEdges(Int32Array.of(-1), Int32Array.of(0), 3)).toThrow("source -1 is outside 0..2");
  expect(() => edgeSum(tf.zeros([2, 4]), edges)).toThrow("do not fit 3 nodes");
  expect(() => takeOrFill(tf.zeros([2, 2]), Int32Array.of(2), tf.zeros([2]))).toThrow("indices from -1 to 1");
});
