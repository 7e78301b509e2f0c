import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { assign, buffer, countParameters, disposeTree, flatten, parameter, trainable } from "./tree.js";

const tree = () => ({
  cls_token: parameter(tf.zeros([1, 1, 4])),
  blocks: [{ attn: { qkv: { weight: parameter(tf.ones([3, 4])), bias: undefined } } }],
  pos_embed: buffer(tf.zeros([1, 5, 4])),
});

it("names parameters by path, lists counting from 0, in order", () => {
  const params = tree();
  expect([...flatten(params).keys()]).toEqual(["cls_token", "blocks.0.attn.qkv.weight", "pos_embed"]);
  expect([...trainable(params).keys()]).toEqual(["cls_token", "blocks.0.attn.qkv.weight"]);
  expect([countParameters(params), countParameters(params, "all")]).toEqual([16, 36]);
});

it("copies values by path and keeps what was given", () => {
  const params = tree();
  const values = new Map([...flatten(params)].map(([path, { shape }]) => [path, tf.fill(shape, 7)]));
  expect(assign(params, values)).toEqual({ missing: [], unexpected: [] });
  for (const value of values.values()) value.dispose();
  expect(params.cls_token.dataSync()).toEqual(Float32Array.of(7, 7, 7, 7));
});

it("refuses names that are missing or unexpected, and shapes that differ, before it changes anything", () => {
  const params = tree();
  const values = new Map<string, tf.Tensor>([
    ["cls_token", tf.ones([1, 1, 4])],
    ["head.bias", tf.ones([2])],
  ]);
  expect(() => assign(params, values)).toThrow(
    "missing blocks.0.attn.qkv.weight, pos_embed; unexpected head.bias",
  );
  expect(params.cls_token.dataSync()[0]).toBe(0);
  expect(assign(params, values, { strict: false }).unexpected).toEqual(["head.bias"]);
  expect(params.cls_token.dataSync()[0]).toBe(1);
  expect(() => assign(params, new Map([["cls_token", tf.zeros([4])]]), { strict: false })).toThrow(
    "cls_token has shape [1,1,4], the given value [4]",
  );
});

it("leaves no tensor behind when disposed", () => {
  const before = tf.memory().numTensors;
  disposeTree(tree());
  expect(tf.memory().numTensors).toBe(before);
});
