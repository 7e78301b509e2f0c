import { createModel, createRandom, disposeAll } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { shapes } from "../../test/shapes.js";
import { pointCmae } from "./point-cmae.js";

const config = {
  points: 64,
  groups: 8,
  groupSize: 8,
  embedWidths: [8, 12, 16],
  width: 16,
  depth: 1,
  heads: 4,
  decoderDepth: 1,
  decoderHeads: 2,
  projectionWidth: 8,
  dropPath: 0,
  reconstructionWeight: 10,
} satisfies Parameters<typeof createModel<typeof pointCmae>>[1];

const zeroBefore = "shifts what the batch norm behind it takes the mean out of";
const unused = "the projection of the class token is used nowhere";

await contractSuite({
  method: pointCmae,
  config,
  samples: (count, random) => shapes(count, random),
  features: 32,
  overfits: 0.5,
  differenceStep: 1e-5,
  unreached: {
    "MAE_encoder.encoder.first_conv.0.bias": zeroBefore,
    "MAE_encoder.encoder.first_conv.3.bias": zeroBefore,
    "MAE_encoder.encoder.second_conv.0.bias": zeroBefore,
    "MAE_encoder.proj_cls.0.weight": unused,
    "MAE_encoder.proj_cls.0.bias": unused,
    "MAE_encoder.proj_cls.1.weight": unused,
    "MAE_encoder.proj_cls.1.bias": unused,
    "MAE_encoder.proj_cls.3.weight": unused,
    "MAE_encoder.proj_cls.3.bias": unused,
  },
});

describe("point-cmae", () => {
  const clouds = shapes(2, createRandom(7));

  it("masks the same groups in two ways", () => {
    const model = createModel(pointCmae, config);
    const batch = model.prepare(clouds, createRandom(1));
    const [first, second] = batch.masks;
    expect(first.kept).toBe(4);
    expect([...second.keep]).not.toEqual([...first.keep]);
    disposeAll(batch);
    model.dispose();
  });

  it("draws groups hidden twice to themselves alone when asked for it", () => {
    const terms = (agreement: "all" | "matched") => {
      const model = createModel(pointCmae, { ...config, agreement }, { seed: 3 });
      const batch = model.prepare(clouds, createRandom(1));
      const { contrast, reconstruction } = model.loss(batch);
      const values = [contrast, reconstruction].map((term) => term!.dataSync()[0]!);
      disposeAll(batch);
      model.dispose();
      return values;
    };
    const [all, matched] = [terms("all"), terms("matched")];
    expect(matched[1]).toBe(all[1]);
    expect(matched[0]).not.toBeCloseTo(all[0]!, 4);
  });

  it("has a finite loss where no group is hidden twice and where a batch is one cloud", () => {
    const model = createModel(pointCmae, { ...config, maskRatio: 0.125 });
    for (let seed = 0; seed < 4; seed++) {
      const batch = model.prepare(clouds.slice(0, 1), createRandom(seed));
      const loss = model.loss(batch);
      expect(Number.isFinite(loss.total.dataSync()[0])).toBe(true);
      disposeAll([batch, loss]);
    }
    model.dispose();
  });
});
