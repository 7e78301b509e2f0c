import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { collect, toy, toyData } from "../../test/toy.js";
import { createModel } from "../model.js";
import { decayScaleOf, resolveTrainSettings } from "./options.js";
import { train } from "./train.js";

beforeAll(() => tf.setBackend("cpu"));

describe("weightDecayEnd", () => {
  it("is reached by half a cosine, as SparK's 0.04 to 0.2", () => {
    const scale = decayScaleOf(resolveTrainSettings({ epochs: 8, weightDecay: 0.04, weightDecayEnd: 0.2 }));
    // Python: [0.2 + (0.04 - 0.2) * (0.5 + 0.5 * math.cos(math.pi * t)) for t in (0, 0.25, 0.5, 1)]
    const expected = [0.04, 0.06343145750507619, 0.12, 0.2];
    expect([0, 2, 4, 8].map((epoch) => 0.04 * scale(epoch))).toEqual(
      expected.map((value) => expect.closeTo(value, 12)),
    );
    expect(decayScaleOf(resolveTrainSettings({ epochs: 8 }))(5)).toBe(1);
    const none = resolveTrainSettings({ weightDecay: 0, weightDecayEnd: 0.2 });
    expect(() => decayScaleOf(none)).toThrow("weightDecayEnd needs a weightDecay above 0");
  });

  it("is what training decays by", async () => {
    const model = createModel(toy, {}, { seed: 3 });
    const { weight } = model.params.encoder;
    const before = weight.dataSync()[0]!;
    const still = {
      ...{ kind: "pretrain", method: "toy", config: model.config, params: { weight } },
      prepare: model.prepare,
      loss: () => ({ total: tf.mul(tf.sum(weight), 0) as tf.Scalar }),
    };
    const settings = { epochs: 4, lr: 0.1, schedule: "step", warmupEpochs: 0 } as const;
    const decay = { optimizer: "sgd", momentum: 0, weightDecay: 0.1, weightDecayEnd: 0.5 } as const;
    const data = toyData();
    await collect(train(still, data, { ...settings, batchSize: data.length, ...decay }));
    const wanted = [0, 1, 2, 3].map((step) => 0.5 - 0.4 * 0.5 * (1 + Math.cos((Math.PI * step) / 4)));
    const factor = wanted.reduce((product, wd) => product * (1 - 0.1 * wd), 1);
    expect(weight.dataSync()[0]! / before).toBeCloseTo(factor, 5);
  });
});
