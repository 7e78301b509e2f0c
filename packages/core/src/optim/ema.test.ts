import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { buffer, flatten, parameter } from "../tree.js";
import { frozenCopy, updateEma } from "./ema.js";

beforeAll(() => tf.setBackend("cpu"));

const student = () => ({
  layers: [{ weight: parameter(tf.tensor([1, 2])) }],
  count: buffer(tf.tensor([4])),
  head: parameter(tf.tensor([8])),
});

describe("ema", () => {
  it("moves every path of the target towards the source", () => {
    const source = student();
    const target = frozenCopy(source);
    source.layers[0]!.weight.assign(tf.tensor([3, 6]));
    updateEma(target, source, 0.75);
    expect([...target.layers[0]!.weight.dataSync()]).toEqual([1.5, 3]);
    expect([...target.head.dataSync()]).toEqual([8]);
  });

  it("leaves the target's buffers as they are where asked", () => {
    const source = student();
    const target = frozenCopy(source);
    for (const variable of flatten(source).values()) variable.assign(tf.add(variable, 1));
    updateEma(target, source, 0, { buffers: "leave" });
    expect([...target.head.dataSync(), ...target.count.dataSync()]).toEqual([9, 4]);
  });

  it("copies a tree that is not trained and has memory of its own", () => {
    const source = student();
    const target = frozenCopy(source);
    expect([...flatten(target).keys()]).toEqual([...flatten(source).keys()]);
    expect([...flatten(target).values()].some(({ trainable }) => trainable)).toBe(false);
    (source.head.dataSync() as Float32Array)[0] = 5; // as a kernel that works in place would
    expect([...target.head.dataSync()]).toEqual([8]);
  });

  it("takes a target that is part of the source, and names a path the source lacks", () => {
    const source = student();
    updateEma({ head: frozenCopy(source.head) }, source, 0.5);
    expect(() => updateEma({ tail: source.head }, source, 0.5)).toThrow(/no tail/);
  });

  it("uses the engine's kernel with pairs in order", () => {
    const seen: unknown[] = [];
    tf.registerKernel({
      kernelName: "UnmaskEma",
      backendName: "cpu",
      kernelFunc: ({ inputs, attrs }) => {
        seen.push(Object.keys(inputs), attrs);
        return tf.scalar(0);
      },
    });
    try {
      const source = student();
      const target = frozenCopy(source);
      const before = tf.memory().numTensors;
      updateEma(target, source, 0.9);
      expect(seen).toEqual([["t0", "s0", "t1", "s1", "t2", "s2"], { decay: 0.9 }]);
      expect(tf.memory().numTensors).toBe(before);
    } finally {
      tf.unregisterKernel("UnmaskEma", "cpu");
    }
  });
});
