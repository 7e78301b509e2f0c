import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { maskFromOrders } from "../masking/mask.js";
import { createRandom } from "../random.js";
import { gradientCheck } from "../testing/gradient-check.js";
import {
  attention,
  gatherAny,
  gelu,
  layerNorm,
  linear,
  mlp,
  restoreRows,
  segmentSum,
  selfAttention,
  selfAttentionLayer,
  takeRows,
} from "./index.js";

const random = createRandom(3);
const normal = (...shape: number[]) => tf.tensor(random.normals(tf.util.sizeFromShape(shape)), shape);

/** A scalar that weighs every entry differently, so that a transposed gradient cannot pass. */
const weigh = (y: tf.Tensor) =>
  tf.sum(
    tf.mul(
      y,
      tf.tensor(
        Float32Array.from({ length: y.size }, (_, i) => Math.sin(i + 1)),
        y.shape,
      ),
    ),
  );

function expectGradient(f: (...xs: tf.Tensor[]) => tf.Tensor, ...inputs: tf.Tensor[]) {
  const { error, directions } = gradientCheck((...xs) => weigh(f(...xs)), inputs, createRandom(11));
  expect(error, JSON.stringify(directions)).toBeLessThan(5e-3);
}

async function expectClose(actual: tf.Tensor, expected: tf.Tensor, tolerance = 2e-6) {
  expect(actual.shape).toEqual(expected.shape);
  const scale = tf.max(tf.abs(expected)).dataSync()[0]! || 1;
  expect(tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]! / scale).toBeLessThan(tolerance);
}

describe.each(["cpu", "wasm"])("ops on %s", (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each(["none", "gelu", "gelu-tanh"] as const)(
    "linear with activation %s has the gradient of its parts",
    (activation) => {
      const [x, weight, bias, residual] = [normal(2, 3, 5), normal(4, 5), normal(4), normal(2, 3, 4)];
      expectGradient((x, w, b, r) => linear(x, w, b, { activation, residual: r }), x, weight, bias, residual);
      expectGradient((x, w) => linear(x, w, undefined, { activation }), x, weight);
    },
  );

  it("linear with a constant input has the same weight gradient and leaves the input alone", async () => {
    const [x, weight, bias] = [normal(6, 5), normal(4, 5), normal(4)];
    const gradients = (constantInput: boolean) =>
      tf.grads((w: tf.Tensor, b: tf.Tensor) => weigh(linear(x, w, b, { constantInput })))([weight, bias]);
    const [fixed, free] = [gradients(true), gradients(false)];
    await expectClose(fixed[0]!, free[0]!);
    await expectClose(fixed[1]!, free[1]!);
    expect(x.isDisposed).toBe(false);
  });

  it("linear names the shapes that do not fit", () => {
    expect(() => linear(normal(2, 5), normal(4, 6))).toThrow("linear: weight [4,6] does not fit input [2,5]");
    const residual = normal(2, 5);
    expect(() => linear(normal(2, 5), normal(4, 5), undefined, { residual })).toThrow(
      "linear: residual [2,5] has not the shape of the result, [2,4]",
    );
  });

  it("linear after a norm equals the two in turn, and has their gradients", async () => {
    const [x, w, b, residual] = [normal(2, 3, 4), normal(5, 4), normal(5), normal(2, 3, 5)];
    const [weight, bias] = [normal(4), normal(4)];
    const options = { activation: "gelu", residual } as const;
    await expectClose(
      linear(x, w, b, { ...options, norm: { weight, bias, epsilon: 1e-5 } }),
      linear(layerNorm(x, weight, bias, 1e-5), w, b, options),
    );
    expectGradient(
      (x, w, b, residual, weight, bias) =>
        linear(x, w, b, { ...options, residual, norm: { weight, bias, epsilon: 1e-5 } }),
      ...[x, w, b, residual, weight, bias],
    );
    expectGradient((x, w) => linear(x, w, undefined, { norm: { epsilon: 1e-6 } }), x, w);
  });

  it("mlp equals two linear maps, and has their gradients", async () => {
    const [x, w1, b1, w2, b2] = [normal(2, 3, 4), normal(6, 4), normal(6), normal(4, 6), normal(4)];
    const [other, weight, bias] = [normal(2, 3, 4), normal(4), normal(4)];
    const first = { weight: w1, bias: b1 };
    const [norm, activation] = [{ weight, bias, epsilon: 1e-5 }, "gelu"] as const;
    await expectClose(
      mlp(x, first, { weight: w2, bias: b2 }, { activation, norm, residual: x }),
      linear(linear(x, w1, b1, { activation, norm }), w2, b2, { residual: x }),
    );
    expectGradient(
      (x, w1, b1, w2, b2, weight, bias) =>
        mlp(
          x,
          { weight: w1, bias: b1 },
          { weight: w2, bias: b2 },
          { activation, norm: { ...norm, weight, bias }, residual: x },
        ),
      ...[x, w1, b1, w2, b2, weight, bias],
    );
    expectGradient((x) => mlp(x, first, { weight: w2 }, { activation, residual: x }), x);
    expectGradient(
      (x, r) => mlp(x, first, { weight: w2 }, { activation: "none", norm: { epsilon: 1e-6 }, residual: r }),
      ...[x, other],
    );
    expect(() => mlp(x, first, { weight: w1 }, { activation })).toThrow("mlp: weights [6,4] and [6,4]");
  });

  it("selfAttentionLayer equals its parts, and has their gradients", async () => {
    const [x, w2, b1, b2] = [normal(2, 3, 4), normal(4, 4), normal(12), normal(4)];
    const w1 = tf.mul(normal(12, 4), 0.5); // logits that do not saturate the softmax
    const [other, weight, bias, table] = [normal(2, 3, 4), normal(4), normal(4), normal(1, 2, 3, 3)];
    const first = { weight: w1, bias: b1 };
    const norm = { weight, bias, epsilon: 1e-5 };
    await expectClose(
      selfAttentionLayer(x, first, { weight: w2, bias: b2 }, { heads: 2, bias: table, norm, residual: x }),
      linear(selfAttention(linear(x, w1, b1, { norm }), { heads: 2, bias: table }), w2, b2, { residual: x }),
    );
    expectGradient(
      (x, w1, b1, w2, b2, weight, bias, table) =>
        selfAttentionLayer(
          x,
          { weight: w1, bias: b1 },
          { weight: w2, bias: b2 },
          { heads: 2, bias: table, norm: { ...norm, weight, bias }, residual: x },
        ),
      ...[x, w1, b1, w2, b2, weight, bias, table],
    );
    expectGradient((x) => selfAttentionLayer(x, first, { weight: w2 }, { heads: 1, residual: x }), x);
    expectGradient(
      (x, r) =>
        selfAttentionLayer(x, first, { weight: w2 }, { heads: 4, norm: { epsilon: 1e-6 }, residual: r }),
      ...[x, other],
    );
  });

  it("gelu equals x times the normal distribution function", async () => {
    const x = tf.tensor1d([-6, -2, -0.5, 0, 0.5, 2, 6]);
    // PyTorch 2.13: torch.nn.functional.gelu(x), and approximate="tanh"
    await expectClose(
      gelu(x),
      tf.tensor1d([-5.919e-9, -0.04550027, -0.15426877, 0, 0.34573123, 1.9544997, 6]),
    );
    await expectClose(gelu(x, "tanh"), tf.tensor1d([0, -0.04540229, -0.15428598, 0, 0.345714, 1.9545977, 6]));
    expectGradient((x) => gelu(x), normal(7));
    expectGradient((x) => gelu(x, "tanh"), normal(7));
  });

  it("layerNorm normalises the last axis and has the right gradient", async () => {
    const x = normal(2, 3, 8);
    const y = layerNorm(x, undefined, undefined, 1e-6);
    await expectClose(tf.mean(y, 2), tf.zeros([2, 3]), 1e-5);
    await expectClose(tf.mean(tf.square(y), 2), tf.ones([2, 3]), 1e-5);
    expectGradient((x, w, b) => layerNorm(x, w, b, 1e-6), x, normal(8), normal(8));
    expectGradient((x) => layerNorm(x, undefined, undefined, 1e-5), x);
  });

  it("attention with bias and mask has the right gradient, and a masked key no influence", async () => {
    const [q, k, v, bias] = [normal(2, 3, 8), normal(2, 5, 8), normal(2, 5, 8), normal(1, 2, 3, 5)];
    expectGradient((q, k, v, b) => attention(q, k, v, { heads: 2, bias: b }), q, k, v, bias);
    const mask = tf.tensor4d([1, 1, 0, 1, 0], [1, 1, 1, 5]).toBool();
    expectGradient((q, k, v) => attention(q, k, v, { heads: 2, mask }), q, k, v);
    const moved = tf.add(v, tf.tensor3d([0, 0, 7, 0, 7], [1, 5, 1]));
    await expectClose(attention(q, k, moved, { heads: 2, mask }), attention(q, k, v, { heads: 2, mask }));
  });

  it("selfAttention is attention on the packed projection", async () => {
    const qkv = normal(2, 5, 24);
    const [q, k, v] = tf.split(qkv, 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
    await expectClose(selfAttention(qkv, { heads: 4 }), attention(q, k, v, { heads: 4 }));
    expectGradient((x) => selfAttention(x, { heads: 4 }), qkv);
    expectGradient((x, b) => selfAttention(x, { heads: 4, bias: b }), qkv, normal(2, 1, 5, 5));
  });

  it("takeRows then restoreRows puts every visible token back and the mask token elsewhere", () => {
    const mask = maskFromOrders(Int32Array.of(2, 0, 3, 1, 1, 3, 0, 2), 2, 2);
    const x = tf.tensor3d([
      [[1], [2], [3], [4]],
      [[5], [6], [7], [8]],
    ]);
    const visible = takeRows(x, mask.keep);
    expect(visible.arraySync()).toEqual([
      [[3], [1]],
      [[6], [8]],
    ]);
    expect(restoreRows(visible, tf.tensor1d([9]), mask).arraySync()).toEqual([
      [[1], [9], [3], [9]],
      [[9], [6], [9], [8]],
    ]);
  });

  it("takeRows and restoreRows have the gradient of a selection", () => {
    const mask = maskFromOrders(Int32Array.of(2, 0, 3, 1, 1, 3, 0, 2), 2, 2);
    expectGradient((x) => takeRows(x, mask.keep), normal(2, 4, 3));
    expectGradient((x, m) => restoreRows(x, m, mask), normal(2, 2, 3), normal(1, 1, 3));
  });

  it("segmentSum adds rows by segment and gatherAny is its gradient", () => {
    const segments = Int32Array.of(3, 0, 3, 3, 1, 3);
    const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [6, 1]);
    expect(Array.from(segmentSum(x, segments, 5).dataSync())).toEqual([2, 5, 0, 14, 0]);
    expectGradient((x) => segmentSum(x, segments, 5), normal(6, 2));
    expectGradient((x) => gatherAny(x, Int32Array.of(1, 1, 0, 2, 1)), normal(3, 2));
    expect(() => segmentSum(x, Int32Array.of(0, 1, 2, 3, 4, 5), 5)).toThrow(
      "segmentSum: index 5 is outside 0..4",
    );
  });

  it("leaves no tensor behind", () => {
    const [x, weight, bias] = [normal(2, 3, 6), normal(6, 6), normal(6)];
    const step = () =>
      tf.tidy(() => {
        tf.grads((x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
          weigh(
            linear(layerNorm(attention(x, x, x, { heads: 2 }), b, b, 1e-6), w, b, {
              activation: "gelu",
              residual: x,
            }),
          ),
        )([x, weight, bias]);
      });
    step();
    const before = tf.memory().numTensors;
    step();
    expect(tf.memory().numTensors).toBe(before);
  });
});
