/** What the methods that compare views keep to, and the numbers of the papers' formulas written down in PyTorch. */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import {
  applyBufferUpdates,
  bindModel,
  createModel,
  createRandom,
  flatten,
  type Method,
  type Model,
  parseSafetensors,
  type Random,
  resolveConfig,
  tensorOf,
  toInt32,
  trainable,
  writeParameters,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import type { ImageSample } from "../sample.js";
import { withViews } from "../views.js";
import { byol } from "./byol.js";
import { convDae } from "./conv-dae.js";
import { gSimclr } from "./g-simclr.js";
import { moco } from "./moco.js";
import { simclr } from "./simclr.js";
import { supCon } from "./sup-con.js";
import { swav } from "./swav.js";

const noise = (side: number, random: Random): ImageSample => ({
  pixels: random.uniforms(side * side),
  height: side,
  width: side,
  channels: 1,
});

const samples =
  (...sides: readonly number[]) =>
  (count: number, random: Random): ImageSample[] =>
    Array.from({ length: count }, (_, i) => ({
      ...withViews(sides.map((side) => noise(side, random))),
      label: i % 2,
    }));

const input = { imageSize: 8, channels: 1, mean: [0.5], std: [0.25] };
const vit = {
  ...input,
  backbone: "vit",
  patchSize: 4,
  width: 8,
  depth: 1,
  heads: 2,
  epsilon: 0.01, // smooth, so that finite differences may take steps
} as const;
const head = { hiddenWidth: 12, projectionWidth: 8 };
const configs = {
  simclr: { ...vit, projectionWidth: 8, temperature: 0.5 },
  supCon: { ...vit, projectionWidth: 8, temperature: 0.3 },
  moco: { ...vit, projectionWidth: 8, queueLength: 10 },
  byol: { ...vit, ...head },
  swav: { ...vit, ...head, prototypes: 6, smallCrops: 1, smallSize: 4 },
} as const;
const contract = { samples: samples(8, 8), features: 8, differenceStep: 3e-4 };

await contractSuite({ ...contract, method: simclr, config: configs.simclr, overfits: 0.7 });
await contractSuite({ ...contract, method: supCon, config: configs.supCon, overfits: 0.9 });
await contractSuite({ ...contract, method: moco, config: configs.moco });
await contractSuite({ ...contract, method: byol, config: configs.byol });

// Codes that are nearly even: no gradient goes through them, but finite differences would see others move.
await contractSuite({
  ...contract,
  method: swav,
  samples: samples(8, 8, 4),
  config: { ...configs.swav, sinkhornEpsilon: 1000 },
  overfits: 0.9,
  differenceStep: 1e-4,
});

const fixture = parseSafetensors(
  new Uint8Array(readFileSync(new URL("../../test/fixtures/contrastive.safetensors", import.meta.url))),
).tensors;
const group = (prefix: string) =>
  new Map(
    [...fixture].flatMap(([name, raw]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), raw]] : [],
    ),
  );

const largest = (x: tf.Tensor) => tf.max(tf.abs(x)).dataSync()[0]!;

/** Largest difference over the largest entry, or over `size` where that is no more than its rounding. */
function distance(value: tf.Tensor, recorded: tf.Tensor, size = 0): number {
  expect(value.shape).toEqual(recorded.shape);
  const own = largest(recorded);
  const scale = own < 1e-5 * size ? size : own;
  return tf.max(tf.abs(tf.sub(value, recorded))).dataSync()[0]! / scale;
}

await onEveryEngine("losses of the papers", () => {
  it.each([
    [simclr, configs.simclr, 0],
    [supCon, configs.supCon, 0],
    [moco, configs.moco, 1],
    [byol, configs.byol, 6],
    [swav, configs.swav, 2],
    [gSimclr, { ...vit, projectionWidths: [8, 6], temperature: 0.5 }, 0],
    [convDae, { ...input, widths: [4, 6] }, 8],
  ] as [Method, object, number][])("$id: value, gradients and buffers", (method, given, buffers) => {
    const config = resolveConfig(method, given);
    const params = method.init(config, createRandom(0));
    writeParameters(params, group(`${method.id}.params.`));
    const inputs = [...group(`${method.id}.inputs.`)].map(([name, raw]) => [
      name,
      name === "labels" ? toInt32(raw) : tensorOf(raw),
    ]);
    const batch = { samples: 4, ...Object.fromEntries(inputs) };
    const variables = trainable(params);
    const { value, grads } = applyBufferUpdates(() =>
      tf.variableGrads(() => method.loss(params, config, batch).total, [...variables.values()]),
    );
    expect(distance(value, tensorOf(fixture.get(`${method.id}.outputs.total`)!).reshape([]))).toBeLessThan(
      1e-5,
    );
    const recorded = group(`${method.id}.grads.`);
    expect([...recorded.keys()].sort()).toEqual([...variables.keys()].sort());
    // A bias before a batch norm has no gradient but rounding.
    const size = Math.max(...[...recorded.values()].map((raw) => largest(tensorOf(raw))));
    for (const [path, raw] of recorded)
      expect(distance(grads[variables.get(path)!.name]!, tensorOf(raw), size), path).toBeLessThan(1e-4);
    const after = [...group(`${method.id}.after.`)];
    expect(after.length).toBe(buffers);
    for (const [path, raw] of after)
      expect(distance(flatten(params).get(path)!, tensorOf(raw)), path).toBeLessThan(1e-5);
  });
});

describe("averaged branches", () => {
  const moved = (model: Model) => {
    for (const variable of trainable(model.params).values()) variable.assign(tf.add(variable, 1));
    return flatten(model.params);
  };

  it("of MoCo follow with a constant momentum, the statistics of their batch norms staying their own", () => {
    const model = createModel(moco, {
      ...configs.moco,
      backbone: "resnet18",
      stem: "small",
      stemWidth: 2,
      momentum: 0.75,
    });
    const flat = moved(model);
    const before = flat.get("momentum.conv1.weight")!.dataSync().slice();
    flat.get("bn1.running_mean")!.assign(tf.ones([2]));
    moco.afterUpdate(model.params, model.config);
    const after = flat.get("momentum.conv1.weight")!.dataSync();
    for (const [i, value] of after.entries()) expect(value - before[i]!).toBeCloseTo(0.25, 5);
    expect([...flat.get("momentum.bn1.running_mean")!.dataSync()]).toEqual([0, 0]);
  });

  it("of BYOL follow with a momentum that reaches 1 at the end", () => {
    const model = createModel(byol, { ...configs.byol, momentum: 0.9 });
    const flat = moved(model);
    const bias = () => flat.get("target.projector.fc2.bias")!.dataSync()[0]!;
    byol.afterUpdate(model.params, model.config, { step: 10, steps: 10, stepsPerEpoch: 5 });
    expect(bias()).toBe(0);
    byol.afterUpdate(model.params, model.config, { step: 5, steps: 10, stepsPerEpoch: 5 });
    expect(bias()).toBeCloseTo(0.05, 6); // momentum 0.95 half way
  });

  it("are never trained", () => {
    for (const [method, config, prefix] of [
      [moco, configs.moco, "momentum."],
      [byol, configs.byol, "target."],
    ] as [Method, object, string][]) {
      const { params } = createModel(method, config as never);
      expect([...flatten(params).keys()].some((path) => path.startsWith(prefix))).toBe(true);
      expect([...trainable(params).keys()].filter((path) => path.startsWith(prefix))).toEqual([]);
    }
  });
});

describe("swav", () => {
  it("keeps prototypes at length 1", () => {
    const model = createModel(swav, configs.swav);
    const { weight } = model.params.prototypes;
    const lengths = () => [...tf.norm(weight, 2, 1).dataSync()];
    weight.assign(tf.mul(weight, 3));
    swav.afterUpdate(model.params);
    for (const length of lengths()) expect(length).toBeCloseTo(1, 5);
  });

  it("makes small views of 3/7 of the size, in whole patches", () => {
    const config = resolveConfig(swav, { imageSize: 64, patchSize: 8, backbone: "vit", smallCrops: 2 });
    const picture = { pixels: new Uint8Array(90 * 70 * 3), height: 90, width: 70, channels: 3 };
    const { views } = swav.trainingView(config)(picture, createRandom(1));
    expect(views?.map(({ height, width }) => [height, width])).toEqual([
      [64, 64],
      [64, 64],
      [24, 24],
      [24, 24],
    ]);
  });
});

describe("sup-con", () => {
  it("takes a picture without a label as a class of its own and refuses a batch without any", () => {
    const model = createModel(supCon, configs.supCon);
    const given = samples(8, 8)(3, createRandom(1));
    const labelled = (labels: (number | undefined)[]) =>
      given.map((sample, i) => ({ ...sample, label: labels[i] }));
    const { labels } = model.prepare(labelled([2, -1, undefined]), createRandom(1));
    expect(labels[0]).toBe(2);
    expect(new Set(labels).size).toBe(3);
    expect(() => model.prepare(labelled([undefined, -1, -1]), createRandom(1))).toThrow(
      "put each class in a sub-folder",
    );
  });
});

describe("a ResNet", () => {
  it("learns by the batch's statistics and encodes by the running ones", () => {
    const model = createModel(simclr, {
      ...configs.simclr,
      backbone: "resnet50",
      stem: "small",
      stemWidth: 2,
    });
    const given = samples(8, 8)(3, createRandom(1));
    const batch = model.prepare(given, createRandom(1));
    applyBufferUpdates(() => model.loss(batch));
    const mean = flatten(model.params).get("bn1.running_mean")!;
    expect([...mean.dataSync()].every((value) => value !== 0)).toBe(true);
    const all = model.encode(given);
    const single = model.encode(given.slice(1, 2));
    expect(all.shape).toEqual([3, 64]);
    expect(distance(all.slice([1, 0], [1, 64]), single)).toBeLessThan(1e-5);
    expect(model.encode(given, { pool: "tokens" }).shape).toEqual([3, 1, 64]);
    expect(() => model.encode(given, { pool: "cls" })).toThrow("resnet50 has no class token");
  });
});

it("is bound with its own config and parameters, of which its encoder needs less", () => {
  const config = resolveConfig(simclr, configs.simclr);
  const model = bindModel(simclr, config, simclr.init(config, createRandom(0)));
  expect([model.config.temperature, ...flatten(model.params.projector).keys()]).toEqual([
    config.temperature,
    ...flatten(createModel(simclr, configs.simclr).params.projector).keys(),
  ]);
});
