import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { expectCase, expectClose, readFixture } from "../../test/support.js";
import { applyBufferUpdates } from "../buffers.js";
import { createRandom } from "../random.js";
import { assign, flatten, trainable } from "../tree.js";
import { applyBatchNorm, initBatchNorm, trainBatchNorm } from "./batch-norm.js";

const fixture = readFixture("layers");

function layer() {
  const params = initBatchNorm(5);
  const values = new Map(["weight", "bias"].map((name) => [name, fixture.tensor(`batchNorm.in.${name}`)]));
  assign(params, values, { strict: false });
  return params;
}

await onEveryEngine("batch norm", () => {
  it("equals PyTorch in training, gradients by input, scale and shift too", () => {
    const params = layer();
    expectCase(fixture, "batchNorm", ["x"], (x) => trainBatchNorm(params, x));
    const x = fixture.tensor("batchNorm.in.x");
    const { grads } = tf.variableGrads(() => {
      const y = trainBatchNorm(params, x);
      const weights = Float32Array.from({ length: y.size }, (_, i) => Math.sin(i + 1));
      return tf.sum(tf.mul(y, tf.tensor(weights, y.shape))) as tf.Scalar;
    });
    expectClose(grads[params.weight!.name]!, fixture.tensor("batchNorm.grad.weight"), 2e-5);
    expectClose(grads[params.bias!.name]!, fixture.tensor("batchNorm.grad.bias"), 2e-5);
  });

  it("moves its running statistics as PyTorch does, and evaluates by them", () => {
    const params = layer();
    const x = fixture.tensor("batchNorm.in.x");
    trainBatchNorm(params, x); // nobody collects: nothing moves
    expect(params.num_batches_tracked.dataSync()[0]).toBe(0);
    applyBufferUpdates(() => trainBatchNorm(params, x));
    expectClose(params.running_mean, fixture.tensor("batchNorm.running_mean"), 1e-6);
    expectClose(params.running_var, fixture.tensor("batchNorm.running_var"), 1e-6);
    expect(params.num_batches_tracked.dataSync()[0]).toBe(1);
    expectClose(applyBatchNorm(params, x), fixture.tensor("batchNorm.evaluated"), 1e-6);
  });

  it("over active places alone equals the norm of those places, and leaves 0 elsewhere", () => {
    const params = layer();
    const x = tf.tensor(createRandom(4).normals(6 * 5), [1, 2, 3, 5]);
    const active = tf.tensor([1, 0, 1, 1, 0, 0], [1, 2, 3, 1]);
    const chosen = tf.gather(x.reshape([6, 5]), [0, 2, 3]);
    const other = layer();
    const sparse = applyBufferUpdates(() => trainBatchNorm(params, x, { active }));
    const dense = applyBufferUpdates(() => trainBatchNorm(other, chosen));
    const y = sparse.reshape([6, 5]);
    expectClose(tf.gather(y, [0, 2, 3]), dense, 1e-6);
    expect(tf.max(tf.abs(tf.gather(y, [1, 4, 5]))).dataSync()[0]).toBe(0);
    expectClose(params.running_mean, other.running_mean, 1e-6);
    expectClose(params.running_var, other.running_var, 1e-6);
  });
});

describe("batch norm", () => {
  it("names its state as PyTorch does and trains only scale and shift", () => {
    expect([...flatten(initBatchNorm(3)).keys()]).toEqual([
      "weight",
      "bias",
      "running_mean",
      "running_var",
      "num_batches_tracked",
    ]);
    expect([...trainable(initBatchNorm(3)).keys()]).toEqual(["weight", "bias"]);
    expect(trainable(initBatchNorm(3, { affine: false })).size).toBe(0);
  });

  it("refuses a batch without variance", () => {
    expect(() => trainBatchNorm(initBatchNorm(3), tf.zeros([1, 3]))).toThrow("a single one has no variance");
  });
});
