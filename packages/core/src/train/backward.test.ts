import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { createRandom } from "../random.js";
import { valueAndGradients } from "./backward.js";

const variable = (shape: number[], seed: number) =>
  tf.variable(tf.tensor(createRandom(seed).normals(tf.util.sizeFromShape(shape)), shape));

await onEveryEngine("valueAndGradients", () => {
  it("equals tfjs to the bit where tensors are read twice, split, shared and left out", () => {
    const [w, v, b, idle] = [variable([6, 8], 1), variable([8, 4], 2), variable([8], 3), variable([2], 4)];
    const variables = [w, v, b, idle];
    const x = tf.tensor2d(createRandom(5).normals(30), [5, 6]);
    const passOn = (share: boolean) =>
      tf.customGrad((a, c) => ({
        value: tf.add(a as tf.Tensor, c as tf.Tensor),
        gradFunc: (dy) => (share ? [dy, dy] : [dy.clone(), dy.clone()]) as unknown as tf.Tensor, // tfjs cannot share
      }));
    const loss = (share: boolean) => () => {
      const hidden = tf.tanh(tf.add(tf.matMul(x, w), b));
      const twice = passOn(share)(hidden, tf.mul(hidden, b));
      const [left, right] = tf.split(tf.matMul(twice, v), 2, 1) as [tf.Tensor, tf.Tensor];
      tf.relu(right); // leads nowhere
      return tf.add(tf.mean(tf.square(tf.matMul(left, right, true))), tf.mean(tf.square(w))) as tf.Scalar;
    };
    const before = tf.memory().numTensors;
    const ours = valueAndGradients(loss(true), variables);
    const theirs = tf.variableGrads(loss(false), variables);
    expect(ours.value.dataSync()).toEqual(theirs.value.dataSync());
    variables.slice(0, 3).forEach(({ name }, i) => {
      expect(ours.gradients[i]!.dataSync()).toEqual(theirs.grads[name]!.dataSync());
    });
    expect(ours.gradients[3]).toBeUndefined();
    tf.dispose([ours.value, ours.gradients.slice(0, 3) as tf.Tensor[], theirs.value, theirs.grads]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([...variables, x]);
  });

  it("holds a few layers' gradients at once, not those of the whole depth", () => {
    const layers = Array.from({ length: 40 }, (_, i) => variable([4, 4], i));
    const x = tf.ones([1000, 4]);
    const loss = () =>
      tf.mean(layers.reduce((y: tf.Tensor, w) => tf.tidy(() => tf.tanh(tf.matMul(y, w))), x)) as tf.Scalar;
    const most = (run: () => void) => {
      let peak = 0;
      const engine = tf.engine();
      const { makeTensorFromTensorInfo } = engine;
      engine.makeTensorFromTensorInfo = (...args) => {
        peak = Math.max(peak, tf.memory().numDataBuffers);
        return makeTensorFromTensorInfo.apply(engine, args);
      };
      const before = tf.memory().numDataBuffers;
      tf.tidy(run);
      engine.makeTensorFromTensorInfo = makeTensorFromTensorInfo;
      return peak - before;
    };
    const ours = most(() => valueAndGradients(loss, layers));
    const theirs = most(() => tf.variableGrads(loss, layers));
    expect(ours).toBeLessThan(0.75 * theirs);
    tf.dispose([...layers, x]);
  });

  it("leaves nothing behind when the loss or a gradient fails", () => {
    const w = variable([3], 1);
    const before = tf.memory().numTensors;
    const fails = () => {
      tf.square(w);
      throw new Error("no loss");
    };
    expect(() => tf.tidy(() => valueAndGradients(fails, [w]))).toThrow("no loss");
    const broken = tf.customGrad((a) => ({
      value: tf.square(a as tf.Tensor),
      gradFunc: () => {
        throw new Error("no gradient");
      },
    }));
    const loss = () => tf.sum(tf.square(broken(tf.tanh(w)))) as tf.Scalar;
    expect(() => tf.tidy(() => valueAndGradients(loss, [w]))).toThrow("no gradient");
    expect(tf.memory().numTensors).toBe(before);
    const { value, gradients } = valueAndGradients(() => tf.sum(tf.square(w)) as tf.Scalar, [w]);
    expect(gradients[0]!.dataSync()).toEqual(tf.tidy(() => tf.mul(w, 2)).dataSync());
    tf.dispose([value, gradients[0]!, w]);
  });
});
