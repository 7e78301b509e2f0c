import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { valueAndGradients } from "../train/backward.js";
import { differentiable } from "./differentiable.js";

/** x^3, which saves its input, a tensor of its own and its value. */
const cube = (x: tf.Tensor) =>
  differentiable({ x, absent: undefined }, ({ x }) => {
    const square = tf.square(x!);
    const value = tf.mul(square, x!);
    return {
      value,
      saved: { x, square, value },
      // 3 x^2 as x^2 + x^3 / x + x^2
      gradient: (dy, { x, square, value }) => ({
        x: tf.mul(dy, tf.addN([square!, tf.div(value!, x!), square!])),
      }),
    };
  });

it("has the gradient it was given, also where the input is gone by then and within tfjs's own gradients", () => {
  const weight = tf.variable(tf.tensor1d([1, -2]));
  const loss = () => tf.sum(cube(tf.tidy(() => tf.mul(weight, 2)))) as tf.Scalar;
  const before = tf.memory().numTensors;
  const { value, gradients } = valueAndGradients(loss, [weight]);
  expect(tf.memory().numTensors).toBe(before + 2);
  expect([...gradients[0]!.dataSync()]).toEqual([24, 96]);
  expect(value.dataSync()[0]).toBe(-56);
  const grads = tf.tidy(() => tf.variableGrads(loss, [weight]).grads[weight.name]!.dataSync());
  expect([...grads]).toEqual([24, 96]);
  tf.dispose([value, ...gradients, weight] as tf.Tensor[]);
});

it("saves nothing where no gradient is asked for, and nothing of an operation that fails", () => {
  const x = tf.tensor1d([1, 2]);
  const before = tf.memory().numTensors;
  tf.dispose(cube(x));
  const fails = () =>
    valueAndGradients(() => {
      cube(x);
      throw new Error("no");
    }, []);
  expect(fails).toThrow("no");
  expect(tf.memory().numTensors).toBe(before);
  expect(tf.engine().state.kernelDepth).toBe(0);
  x.dispose();
});
