import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { constant } from "./scope.js";

beforeAll(() => tf.setBackend("cpu"));

describe("constant", () => {
  it("passes no gradient and records nothing that it made on its way", () => {
    const w = tf.variable(tf.tensor1d([1, 2]));
    let held = 0;
    const { value, grads } = tf.variableGrads(() => {
      const before = tf.memory().numTensors;
      const target = constant(() => tf.exp(tf.square(tf.mul(w, 2))));
      held = tf.memory().numTensors - before;
      return tf.sum(tf.mul(w, target)) as tf.Scalar;
    }, [w]);
    expect(held).toBe(1);
    const exact = [4, 16].map((x) => Math.fround(Math.exp(x)));
    expect(value.dataSync()[0]! / (exact[0]! + 2 * exact[1]!)).toBeCloseTo(1, 6);
    grads[w.name]!.dataSync().forEach((gradient, i) => {
      expect(gradient / exact[i]!).toBeCloseTo(1, 6);
    });
    tf.dispose([value, grads, w]);
  });
});
