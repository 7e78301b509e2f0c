import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, flatten, type Model, trainable } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { shapes } from "../../test/shapes.js";
import { createPointClassifier } from "../modality/classifier.js";
import { dgcnnClassifier } from "./dgcnn-classifier.js";
import { mae3d } from "./mae-3d.js";
import { pointCmae } from "./point-cmae.js";
import { pointMae } from "./point-mae.js";
import { pointTransformer } from "./point-transformer.js";

const transformer = {
  points: 48,
  groups: 6,
  groupSize: 6,
  embedWidths: [6, 8, 12] as [number, number, number],
  width: 12,
  depth: 1,
  heads: 2,
};
const zeroBefore = "shifts what the batch norm behind it takes the mean out of";

await contractSuite({
  method: pointTransformer,
  config: { ...transformer, classes: 2, headWidth: 8, dropPath: 0, dropout: 0 },
  samples: (count, random) => shapes(count, random, 48),
  features: 24,
  differenceStep: 1e-5,
  unreached: {
    "encoder.first_conv.0.bias": zeroBefore,
    "encoder.first_conv.3.bias": zeroBefore,
    "encoder.second_conv.0.bias": zeroBefore,
    "cls_head_finetune.0.bias": zeroBefore,
    "cls_head_finetune.4.bias": zeroBefore,
  },
});

const graph = { points: 24, neighbours: 4, edgeWidths: [6, 8], width: 10 };

await contractSuite({
  method: dgcnnClassifier,
  config: { ...graph, classes: 3, headWidths: [8, 6], dropout: 0 },
  samples: (count, random) => shapes(count, random, 24),
  features: 20,
  differenceStep: 1e-5,
  overfits: 0.8,
  unreached: { "head.4.bias": zeroBefore },
});

describe("createPointClassifier", () => {
  beforeAll(() => tf.setBackend("cpu"));
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];
  const settings = { classes: 3, dropout: 0.5 };

  it.each([
    [pointMae, "cls_token", undefined],
    [pointCmae, "cls_token", "MAE_encoder.cls_token1"],
  ] as const)("begins with the encoder of $id under a new head", (method, path, from) => {
    const source = createModel(method, { ...transformer, decoderDepth: 1, decoderHeads: 2 }, { seed: 3 });
    const model = createPointClassifier(source as unknown as Model, settings, createRandom(1));
    expect(model.config).toMatchObject({ width: 12, groups: 6, classes: 3, dropout: 0.5 });
    for (const own of ["encoder.first_conv.1.running_var", "blocks.blocks.0.attn.qkv.weight", "norm.bias"])
      expect(values(model, own)).toEqual(values(source as unknown as Model, `MAE_encoder.${own}`));
    if (from) expect(values(model, path)).toEqual(values(source as unknown as Model, from));
    for (const made of [source, model]) made.dispose();
  });

  it("transfers the DGCNN of MAE3D alone, and trains its head alone when asked for it", () => {
    const source = createModel(
      mae3d,
      { ...graph, patches: 4, patchSize: 4, heads: 2, headWidth: 4 },
      { seed: 3 },
    );
    const model = createPointClassifier(
      source as unknown as Model,
      { ...settings, frozen: true },
      createRandom(1),
    );
    expect(values(model, "embed.edges.1.0.weight")).toEqual(
      values(source as unknown as Model, "embed.edges.1.0.weight"),
    );
    expect([...trainable(model.params).keys()].every((path) => path.startsWith("head."))).toBe(true);
    for (const made of [source, model]) made.dispose();
  });

  it("keeps the head of a classifier of as many classes, and draws dropout into the batch", () => {
    const source = createModel(pointTransformer, { ...transformer, classes: 3 }, { seed: 3 });
    const same = createPointClassifier(source as unknown as Model, { classes: 3 }, createRandom(1));
    expect(values(same, "cls_head_finetune.8.weight")).toEqual(
      values(source as unknown as Model, "cls_head_finetune.8.weight"),
    );
    const { dropout } = source.prepare(shapes(4, createRandom(1), 48), createRandom(2));
    const drops = [...dropout![0].dataSync()];
    expect(new Set(drops)).toEqual(new Set([0, 2]));
    const loss = () => source.loss(source.prepare(shapes(4, createRandom(1), 48), createRandom(2))).total;
    expect(loss().dataSync()).toEqual(loss().dataSync());
    expect(() => source.prepare([{ points: new Float32Array(144), label: 7 }], createRandom(0))).toThrow(
      "0-2",
    );
    disposeAll(dropout);
    for (const made of [source, same]) made.dispose();
  });
});
