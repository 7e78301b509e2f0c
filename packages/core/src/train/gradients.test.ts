import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support.js";
import { toy, toyData } from "../../test/toy.js";
import { createModel } from "../model.js";
import { createRandom } from "../random.js";
import { parameter, trainable } from "../tree.js";
import { computeGradients, type Losses } from "./gradients.js";

beforeAll(() => tf.setBackend("cpu"));

async function setup(count = 10) {
  const model = createModel(toy, {}, { seed: 3 });
  const samples = await toyData().take(count);
  const loaded = { samples, indices: samples.map((_, i) => i), skipped: [] };
  return { model, loaded, params: trainable(model.params) };
}

describe("computeGradients", () => {
  it.each([2, 3, 10])("in %i parts equals the whole batch", async (parts) => {
    const { model, loaded, params } = await setup();
    const whole = await computeGradients(model, params, loaded, createRandom(1), 1);
    const summed = await computeGradients(model, params, loaded, createRandom(1), parts);
    expect(summed.loss).toBeCloseTo(whole.loss, 6);
    expect(summed.terms.masked).toBeCloseTo(whole.terms.masked!, 6);
    expect(summed.gradNorm).toBeCloseTo(whole.gradNorm, 6);
    expect([...summed.gradients.keys()]).toEqual([...params.keys()]);
    for (const [path, gradient] of whole.gradients)
      expectClose(summed.gradients.get(path)!, gradient, 2e-6, path);
  });

  it("leaves the gradients and nothing else, in one part or several", async () => {
    const { model, loaded, params } = await setup();
    for (const parts of [1, 3]) {
      const before = tf.memory().numTensors;
      const { gradients } = await computeGradients(model, params, loaded, createRandom(1), parts);
      expect(tf.memory().numTensors - before).toBe(params.size);
      for (const gradient of gradients.values()) gradient.dispose();
    }
  });

  it("leaves out parameters that the loss does not reach", async () => {
    const params = new Map([
      ["used", parameter(tf.scalar(3))],
      ["idle", parameter(tf.scalar(1))],
    ]);
    const losses: Losses<number, object> = {
      prepare: () => ({}),
      loss: () => ({ total: tf.square(params.get("used")!).asScalar() }),
    };
    const loaded = { samples: [0], indices: [0], skipped: [] };
    const { gradients, loss, gradNorm } = await computeGradients(losses, params, loaded, createRandom(1), 1);
    expect([...gradients.keys()]).toEqual(["used"]);
    expect([loss, gradNorm]).toEqual([9, 6]);
  });

  it("hands over the samples' places in the data set", async () => {
    const { model, params, loaded } = await setup(5);
    const seen: (readonly number[])[] = [];
    const losses: Losses<Float32Array, object> = {
      prepare(samples, random, indices) {
        seen.push(indices);
        return model.prepare(samples, random);
      },
      loss: (batch) => model.loss(batch as ReturnType<typeof model.prepare>),
    };
    await computeGradients(losses, params, { ...loaded, indices: [9, 8, 7, 6, 5] }, createRandom(1), 2);
    expect(seen).toEqual([
      [9, 8, 7],
      [6, 5],
    ]);
  });

  it("leaks nothing when a later part cannot be prepared", async () => {
    const { model, loaded, params } = await setup();
    let calls = 0;
    const losses: Losses<Float32Array, object> = {
      prepare(samples, random) {
        const batch = model.prepare(samples, random);
        if (++calls === 2) throw new Error("odd sample");
        return batch;
      },
      loss: (batch) => model.loss(batch as ReturnType<typeof model.prepare>),
    };
    const before = tf.memory().numTensors;
    await expect(computeGradients(losses, params, loaded, createRandom(1), 2)).rejects.toThrow("odd sample");
    expect(tf.memory().numTensors).toBe(before);
  });
});
