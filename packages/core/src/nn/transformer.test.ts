import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { expectClose } from "../../test/support.js";
import { linear } from "../ops/linear.js";
import { takeRows } from "../ops/take-rows.js";
import { createRandom } from "../random.js";
import { gradientCheck } from "../testing/gradient-check.js";
import { countParameters, flatten } from "../tree.js";
import {
  applyCrossAttention,
  applySelfAttention,
  initCrossAttention,
  initSelfAttention,
} from "./attention.js";
import { applyBlock, applyTransformer, drawDropPath, initBlock, initTransformer } from "./transformer.js";

const random = createRandom(5);
const normal = (...shape: number[]) => tf.tensor(random.normals(tf.util.sizeFromShape(shape)), shape);
const options = { heads: 2, epsilon: 1e-6 };
const weigh = (y: tf.Tensor) => tf.sum(tf.mul(y, tf.cos(tf.range(0, y.size).reshape(y.shape))));

it("names parameters as timm does", () => {
  const block = initBlock(random, { width: 8, hidden: 32, layerScale: 0.1 });
  expect([...flatten({ blocks: [block] }).keys()]).toEqual([
    "blocks.0.norm1.weight",
    "blocks.0.norm1.bias",
    "blocks.0.attn.qkv.weight",
    "blocks.0.attn.qkv.bias",
    "blocks.0.attn.proj.weight",
    "blocks.0.attn.proj.bias",
    "blocks.0.ls1.gamma",
    "blocks.0.norm2.weight",
    "blocks.0.norm2.bias",
    "blocks.0.mlp.fc1.weight",
    "blocks.0.mlp.fc1.bias",
    "blocks.0.mlp.fc2.weight",
    "blocks.0.mlp.fc2.bias",
    "blocks.0.ls2.gamma",
  ]);
  expect(countParameters(block)).toBe(12 * 8 * 8 + 13 * 8 + 2 * 8);
});

it("draws drop path as data: the first block is never dropped, a kept branch is scaled up, the mean is 1", () => {
  expect(drawDropPath(random, 3, 4, 0)).toBeUndefined();
  const [depth, batch] = [3, 4000];
  const { scales } = drawDropPath(createRandom(1), depth, batch, 0.4)!;
  const of = (block: number) => scales.subarray(block * 2 * batch, (block + 1) * 2 * batch);
  expect(new Set(of(0))).toEqual(new Set([1]));
  expect(new Set(of(1))).toEqual(new Set([0, Math.fround(1 / 0.8)]));
  expect(new Set(of(2))).toEqual(new Set([0, Math.fround(1 / 0.6)]));
  const mean = of(2).reduce((sum, scale) => sum + scale, 0) / (2 * batch);
  expect(Math.abs(mean - 1)).toBeLessThan(0.05); // five standard errors
});

await onEveryEngine("transformer", () => {
  it("scales each branch by layer scale", () => {
    const x = normal(2, 3, 8);
    const block = initBlock(createRandom(1), { width: 8, hidden: 16, layerScale: 0 });
    expectClose(applyBlock(block, x, options), x, 1e-7); // a gamma of 0 leaves the residual alone
    block.ls2!.gamma.assign(tf.fill([8], 2));
    const { ls1: _, ls2: __, ...plain } = block;
    const doubled = tf.sub(applyBlock(block, x, options), x);
    const proj = { weight: tf.variable(tf.zeros([8, 8])), bias: tf.variable(tf.zeros([8])) };
    const mlpOnly = tf.sub(applyBlock({ ...plain, attn: { ...plain.attn, proj } }, x, options), x);
    expectClose(doubled, tf.mul(mlpOnly, 2), 1e-5);
  });

  it("leaves a dropped sample as it was and scales a kept one", () => {
    const x = normal(2, 3, 8);
    const block = initBlock(createRandom(2), { width: 8, hidden: 16 });
    const none = Float32Array.of(0, 0);
    expectClose(applyBlock(block, x, options, [none, none]), x, 1e-7);
    const y = applyBlock(block, x, options, [Float32Array.of(0, 1), Float32Array.of(0, 1)]);
    expectClose(y.slice([0], [1]), x.slice([0], [1]), 1e-7);
    expectClose(y.slice([1], [1]), applyBlock(block, x, options).slice([1], [1]), 1e-5);
  });

  it("shows every block's output in order, the last being the result", () => {
    const blocks = initTransformer(createRandom(3), 3, { width: 8, hidden: 16 });
    const x = normal(1, 2, 8);
    const seen: tf.Tensor[] = [];
    const y = applyTransformer(blocks, x, { ...options, onBlock: (index, tokens) => (seen[index] = tokens) });
    expect(seen.length).toBe(3);
    expectClose(seen[2]!, y, 1e-7);
    expectClose(applyBlock(blocks[1]!, seen[0]!, options), seen[1]!, 1e-6);
  });

  it("gives the tokens that are wanted, and the gradients of all, as if it had made the others too", () => {
    const blocks = initTransformer(createRandom(3), 2, { width: 8, hidden: 16 });
    const x = normal(2, 5, 8);
    const wanted = (tokens: tf.Tensor) => takeRows(tokens, Int32Array.of(4, 1, 0, 3));
    const variables = blocks.flatMap((block) => [...flatten(block).values()]);
    const [some, all] = [
      () => applyTransformer(blocks, x, { ...options, wanted }),
      () => wanted(applyTransformer(blocks, x, options)),
    ].map((run) => tf.variableGrads(() => tf.sum(tf.square(run())).asScalar(), variables));
    expectClose(some!.value, all!.value, 1e-6);
    for (const [name, gradient] of Object.entries(all!.grads))
      expectClose(some!.grads[name]!, gradient, 1e-4);
    expectClose(applyTransformer([], x, { ...options, wanted }), wanted(x), 0);
  });

  it("biases queries and values only, where a method asks for that", () => {
    const x = normal(2, 3, 8);
    const params = initSelfAttention(createRandom(4), 8, { qkvBias: "query-value" });
    params.q_bias!.assign(normal(8));
    params.v_bias!.assign(normal(8));
    const bias = tf.variable(tf.concat([params.q_bias!, tf.zeros([8]), params.v_bias!]));
    const packed = { qkv: { weight: params.qkv.weight, bias }, proj: params.proj };
    expectClose(applySelfAttention(params, x, options), applySelfAttention(packed, x, options), 1e-6);
    const { error } = gradientCheck(
      (q) => weigh(linear(x, params.qkv.weight, tf.concat([q, tf.zeros([8]), params.v_bias!]))),
      [params.q_bias!],
      createRandom(1),
    );
    expect(error).toBeLessThan(5e-3);
  });

  it("attends over a context of another length and width", () => {
    const params = initCrossAttention(createRandom(5), 8, { context: 6 });
    const [x, context] = [normal(2, 3, 8), normal(2, 5, 6)];
    expect(applyCrossAttention(params, x, context, options).shape).toEqual([2, 3, 8]);
    // The order of the context says nothing: there are no positions in it.
    const reversed = tf.reverse(context, 1);
    expectClose(
      applyCrossAttention(params, x, reversed, options),
      applyCrossAttention(params, x, context, options),
      1e-5,
    );
    const { error } = gradientCheck(
      (x, context) => weigh(applyCrossAttention(params, x, context, { ...options, residual: x })),
      [x, context],
      createRandom(1),
    );
    expect(error).toBeLessThan(5e-3);
  });
});
