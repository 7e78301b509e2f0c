import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { shapes } from "../../test/shapes.js";
import { byRunningStatistics } from "../layers/point-conv.js";
import { encodeVisible, pointMae } from "./point-mae.js";

const config = {
  points: 64,
  groups: 8,
  groupSize: 8,
  embedWidths: [8, 12, 16],
  width: 16,
  depth: 2,
  heads: 4,
  decoderDepth: 1,
  decoderHeads: 2,
  dropPath: 0,
} satisfies Parameters<typeof createModel<typeof pointMae>>[1];

const zeroBefore = "shifts what the batch norm behind it takes the mean out of";

await contractSuite({
  method: pointMae,
  config,
  samples: (count, random) => shapes(count, random),
  features: 32,
  overfits: 0.5,
  differenceStep: 1e-5,
  unreached: {
    "MAE_encoder.encoder.first_conv.0.bias": zeroBefore,
    "MAE_encoder.encoder.first_conv.3.bias": zeroBefore,
    "MAE_encoder.encoder.second_conv.0.bias": zeroBefore,
  },
});

await onEveryEngine("point-mae", () => {
  it("does not let hidden groups reach the encoder once statistics are fixed", () => {
    const model = createModel(pointMae, config, { seed: 1 });
    const batch = model.prepare(shapes(2, createRandom(1)), createRandom(2));
    const { mask, neighbourhoods } = batch;
    const flags = Float32Array.from(mask.restore, (place) => (place >= mask.kept ? 1 : 0));
    const hidden = tf.tensor(flags, [2, 8, 1, 1]);
    const changed = { ...batch, neighbourhoods: tf.add(neighbourhoods, tf.mul(hidden, 3)) as tf.Tensor4D };
    const [before, after] = [batch, changed].map((b) =>
      encodeVisible(model.params, model.config, b, byRunningStatistics).dataSync(),
    );
    expect(after).toEqual(before);
    model.dispose();
  });
});

describe("point-mae", () => {
  const clouds = shapes(3, createRandom(7));
  const model = () => createModel(pointMae, config, { seed: 4 });

  it("gives a cloud whose points come in another order the same features", () => {
    const own = model();
    const order = createRandom(3).permutation(64);
    // farthest point sampling begins at the first point, which therefore stays
    const places = [0, ...[...order].filter((i) => i !== 0)];
    const shuffled = clouds.map(({ points }) => ({
      points: Float32Array.from(places.flatMap((i) => [...points.subarray(3 * i, 3 * i + 3)])),
    }));
    const [a, b] = [own.encode(clouds), own.encode(shuffled)];
    const [before, after] = [a.dataSync(), b.dataSync()];
    before.forEach((value, i) => {
      expect(after[i]).toBeCloseTo(value, 5);
    });
    disposeAll([a, b]);
    own.dispose();
  });

  it("takes clouds of copies, and gives finite losses and gradients for them", () => {
    const own = model();
    const copies = [
      { points: new Float32Array(64 * 3).fill(0.5) },
      { points: Float32Array.from(Array(64).fill([1, 0, 0]).flat()) },
    ];
    const batch = own.prepare(copies, createRandom(1));
    const { value, grads } = tf.variableGrads(() => pointMae.loss(own.params, own.config, batch).total);
    expect(Number.isFinite(value.dataSync()[0])).toBe(true);
    for (const gradient of Object.values(grads))
      expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
    own.dispose();
  });

  it("masks neighbouring groups together when asked for blocks", () => {
    const own = createModel(pointMae, { ...config, masking: "block", maskRatio: 0.5 });
    const { mask, centres } = own.prepare(clouds, createRandom(5));
    const places = centres.dataSync();
    for (let b = 0; b < 3; b++) {
      const of = (group: number) => places.subarray((b * 8 + group) * 3, (b * 8 + group) * 3 + 3);
      const apart = (i: number, j: number) => Math.hypot(...[0, 1, 2].map((a) => of(i)[a]! - of(j)[a]!));
      const [hidden, visible] = [
        mask.masked.subarray(b * 4, b * 4 + 4),
        mask.keep.subarray(b * 4, b * 4 + 4),
      ];
      const isSeed = [...hidden].some((seed) =>
        [...hidden].every((h) => [...visible].every((v) => apart(seed, h) <= apart(seed, v))),
      );
      expect(isSeed).toBe(true);
    }
    own.dispose();
  });

  it("shows visible points where they are and refuses a class token", () => {
    const own = model();
    const shown = own.reconstruct(clouds, createRandom(2));
    expect(shown.reconstructed.shape).toEqual([3, 4 * 8, 3]);
    expect(shown.visible.shape).toEqual([3, 4 * 8, 3]);
    const original = clouds[0]!.points;
    const near = shown.visible.dataSync().subarray(0, 3);
    const distances = Array.from({ length: 64 }, (_, i) =>
      Math.hypot(...[0, 1, 2].map((a) => original[3 * i + a]! - near[a]!)),
    );
    expect(Math.min(...distances)).toBeLessThan(1e-6);
    expect(() => own.encode(clouds, { pool: "cls" })).toThrow('pool by "mean"');
    own.dispose();
  });

  it("says how many points it needs, and which coordinate is none", () => {
    const own = model();
    const few = [{ points: clouds[0]!.points.slice(0, 18) }];
    expect(() => own.prepare(few, createRandom(0))).toThrow("need a cloud of at least 8 points, got 6");
    const broken = [{ points: clouds[0]!.points.map((value, i) => (i === 7 ? Number.NaN : value)) }];
    expect(() => own.encode(broken)).toThrow("coordinate y of point 2 is NaN");
    own.dispose();
  });
});
