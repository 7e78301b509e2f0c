import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  disposeAll,
  maskFromOrders,
  parseSafetensors,
  resolveConfig,
  tensorOf,
  toFloat32,
  trainable,
  writeParameters,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { shapes } from "../../test/shapes.js";
import { byBatch } from "../layers/point-conv.js";
import { embedVisible, encodeAndDecode, foldPoints, mae3d, predictCentres } from "./mae-3d.js";

const config = {
  points: 48,
  patches: 6,
  patchSize: 4,
  neighbours: 4,
  edgeWidths: [6, 8],
  width: 12,
  depth: 1,
  decoderDepth: 1,
  heads: 2,
  headWidth: 4,
  hiddenWidth: 16,
  foldingWidth: 12,
} satisfies Parameters<typeof createModel<typeof mae3d>>[1];

const zeroBefore = "shifts what the batch norm behind it takes the mean out of";

await contractSuite({
  method: mae3d,
  config,
  samples: (count, random) => shapes(count, random, 48),
  features: 24,
  overfits: 0.6,
  lr: 1e-2,
  differenceStep: 1e-5,
  unreached: {
    "centres.0.bias": zeroBefore,
    "centres.3.bias": zeroBefore,
    "folding.0.bias": zeroBefore,
    "folding.3.bias": zeroBefore,
  },
});

const fixture = parseSafetensors(
  new Uint8Array(readFileSync(new URL("../../test/fixtures/mae_3d.safetensors", import.meta.url))),
);
const group = (prefix: string) =>
  new Map(
    [...fixture.tensors].flatMap(([name, raw]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), raw] as const] : [],
    ),
  );

await onEveryEngine("mae-3d beside the same written in PyTorch", () => {
  it("computes the same tokens, vector, centres, points, losses and gradients", () => {
    const own = resolveConfig(mae3d, JSON.parse(fixture.metadata!.config!));
    const params = mae3d.init(own, createRandom(0));
    writeParameters(params, group("params."), { strict: false });
    const inputs = group("inputs.");
    const raw = inputs.get("cloud")!;
    const values = toFloat32(raw);
    const size = own.points * 3;
    const samples = Array.from({ length: raw.shape[0]! }, (_, b) => ({
      points: values.slice(b * size, (b + 1) * size),
    }));
    const [visible, masked] = ["visible", "masked"].map((name) => toFloat32(inputs.get(name)!));
    const orders = samples.flatMap((_, b) => [
      ...visible!.subarray(2 * b, 2 * b + 2),
      ...masked!.subarray(4 * b, 4 * b + 4),
    ]);
    const drawn = mae3d.prepare(own, samples, createRandom(0));
    const batch = { ...drawn, mask: maskFromOrders(Int32Array.from(orders), samples.length, 2) };

    const vector = encodeAndDecode(params, own, batch, byBatch);
    const centres = predictCentres(params, vector, byBatch);
    const { total, points, centres: ofCentres } = mae3d.loss(params, own, batch);
    const computed: Record<string, tf.Tensor> = {
      tokens: embedVisible(params, own, batch, byBatch),
      vector,
      centres,
      points: foldPoints(params, own, vector, centres, byBatch),
      loss_points: points,
      loss_centres: ofCentres,
      total,
    };
    for (const [name, recorded] of group("outputs."))
      expect(distance(computed[name]!, recorded), name).toBeLessThan(2e-5);

    const variables = trainable(params);
    const { grads } = tf.variableGrads(() => mae3d.loss(params, own, batch).total, [...variables.values()]);
    const recorded = group("grads.");
    expect([...recorded.keys()].sort()).toEqual([...variables.keys()].sort());
    const largest = Math.max(...[...recorded.values()].map((of) => Math.max(...toFloat32(of).map(Math.abs))));
    for (const [path, { name }] of variables)
      expect(distance(grads[name]!, recorded.get(path)!, largest), path).toBeLessThan(2e-5);
  });
});

/** Largest error over the largest entry. */
function distance(computed: tf.Tensor, recorded: Parameters<typeof tensorOf>[0], scale?: number): number {
  return tf.tidy(() => {
    const expected = tensorOf(recorded);
    expect(computed.shape).toEqual(expected.shape);
    const error = tf.max(tf.abs(tf.sub(computed, expected))).dataSync()[0]!;
    return error / (scale ?? tf.max(tf.abs(expected)).dataSync()[0]!);
  });
}

describe("mae-3d", () => {
  const clouds = shapes(3, createRandom(7), 48);

  it("hides the same patch and its neighbours throughout a batch, 22 of 32 at the paper's ratio", () => {
    const model = createModel(mae3d, { ...config, points: 48, patches: 32 });
    const { mask } = model.prepare(clouds, createRandom(5));
    expect([mask.kept, mask.masked.length / 3]).toEqual([10, 22]);
    const seeds = [0, 1, 2].map((b) => mask.masked[22 * b]);
    expect(new Set(seeds).size).toBe(1);
    for (let b = 0; b < 3; b++) {
      const keep = [...mask.keep.subarray(10 * b, 10 * b + 10)];
      expect(keep).toEqual([...keep].sort((a, c) => a - c));
    }
    const other = createModel(mae3d, { ...config, masking: "random" });
    const shared = other.prepare(clouds, createRandom(5)).mask;
    expect(shared.masked.subarray(0, 4)).toEqual(shared.masked.subarray(4, 8));
    for (const made of [model, other]) made.dispose();
  });

  it("encodes a cloud whatever the order of its points", () => {
    const model = createModel(mae3d, config, { seed: 2 });
    const order = createRandom(1).permutation(48);
    const shuffled = clouds.map(({ points }) => ({
      points: Float32Array.from([...order].flatMap((i) => [...points.subarray(3 * i, 3 * i + 3)])),
    }));
    const [a, b] = [model.encode(clouds), model.encode(shuffled)];
    const after = b.dataSync();
    a.dataSync().forEach((value, i) => {
      expect(after[i]).toBeCloseTo(value, 5);
    });
    disposeAll([a, b]);
    model.dispose();
  });

  it("says what a patch size and a cloud have to be", () => {
    expect(() => createModel(mae3d, { ...config, patchSize: 5 })).toThrow("use 4");
    const model = createModel(mae3d, config);
    expect(() => model.prepare(shapes(1, createRandom(1), 50), createRandom(0))).toThrow("sample 0 has 50");
    model.dispose();
  });
});
