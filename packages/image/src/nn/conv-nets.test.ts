import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { applyBufferUpdates, createRandom, flatten, tidy, trainable } from "@unmask/core";
import { onEveryEngine } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { type ConvNextShape, convnextMaps, convnextStride, initConvNext } from "./convnext.js";
import { drawBlockDrops } from "./drop-path.js";
import { activePlaces, type MapOptions } from "./feature-map.js";
import { initResNet, type ResNetShape, resnetMaps, resnetSizes, resnetStride } from "./resnet.js";

interface Recorded {
  readonly shapes: Readonly<Record<string, number[]>>;
  readonly maps: number[][];
  readonly weighed: number[];
  readonly last: number[];
  readonly gradients: Readonly<Record<string, [number, number]>>;
  readonly running: Readonly<Record<string, number>>;
  readonly evaluated: number[];
}

const { names, ...recorded } = JSON.parse(
  readFileSync(new URL("../../test/fixtures/conv-nets.json", import.meta.url), "utf8"),
) as { readonly names: Readonly<Record<string, string[]>> } & Readonly<Record<string, Recorded>>;

const resnet = (shape: Pick<ResNetShape, "width" | "blocks" | "bottleneck" | "stem">) => {
  const complete = { channels: 3, ...shape };
  const params = initResNet(createRandom(1), complete);
  const maps = (images: tf.Tensor, options: MapOptions) => resnetMaps(params, complete, images, options);
  return { params, maps, stride: resnetStride(shape) };
};

const convnext = (shape: Pick<ConvNextShape, "widths" | "blocks">) => {
  const complete = { channels: 3, stemPatch: 4, layerScale: 1e-6, ...shape };
  const params = initConvNext(createRandom(1), complete);
  const maps = (images: tf.Tensor, options: MapOptions) => convnextMaps(params, complete, images, options);
  return { params, maps, stride: convnextStride(complete) };
};

const networks = {
  basic: () => resnet({ width: 4, blocks: [1, 2, 1, 1], bottleneck: false, stem: "imagenet" }),
  bottleneck: () => resnet({ width: 2, blocks: [1, 2, 1, 1], bottleneck: true, stem: "full-resolution" }),
  small: () => resnet({ width: 2, blocks: [1, 1, 1, 1], bottleneck: true, stem: "small" }),
  convnext: () => convnext({ widths: [4, 6, 8, 10], blocks: [1, 2, 1, 1] }),
};
const all = Object.keys(networks) as (keyof typeof networks)[];

/** As conv-nets.py fills them. */
function fill(params: object): void {
  [...trainable(params)].forEach(([path, variable], i) => {
    const { size, rank } = variable;
    const oneAxis = rank === 1 && /(weight|gamma)$/.test(path);
    const scale = rank === 1 ? 0.2 : Math.sqrt(2 / (size / variable.shape[0]!));
    const values = Float32Array.from(
      { length: size },
      (_, n) => scale * Math.sin(1.7 * n + i) + (oneAxis ? 1 : 0),
    );
    variable.assign(tf.tensor(values, variable.shape));
  });
}

const pictures = (side: number) =>
  tf.tensor(
    Float32Array.from({ length: 2 * side * side * 3 }, (_, n) => Math.sin(0.37 * n)),
    [2, side, side, 3],
  );
const weighed = (t: tf.Tensor) =>
  (t.dataSync() as Float32Array).reduce((sum, value, i) => sum + value * Math.sin(1 + i), 0);
const worst = (a: ArrayLike<number>, b: readonly number[]) =>
  b.reduce((most, value, i) => Math.max(most, Math.abs(a[i]! - value)), 0) / Math.max(...b.map(Math.abs));

await onEveryEngine("convolutional networks", () => {
  it.each(all)("%s equals timm's in training, gradients and running statistics too", (name) => {
    const network = networks[name]();
    const expected = recorded[name]!;
    fill(network.params);
    const images = pictures(name === "basic" || name === "convnext" ? 64 : 16);
    const maps = network.maps(images, { training: true });
    expect(maps.map(({ shape }) => shape)).toEqual(expected.maps);
    expect(images.shape[1]! / maps[3]!.shape[1]!).toBe(network.stride);
    expect(worst(maps[3]!.dataSync(), expected.last)).toBeLessThan(2e-4); // batch norms over eight values
    const variables = trainable(network.params);
    const { grads } = applyBufferUpdates(() =>
      tf.variableGrads(() => {
        const last = network.maps(images, { training: true })[3]!;
        const weights = Float32Array.from({ length: last.size }, (_, i) => Math.fround(Math.sin(i + 1)));
        return tf.sum(tf.mul(last, tf.tensor(weights, last.shape))) as tf.Scalar;
      }, [...variables.values()]),
    );
    const largest = Math.max(...Object.values(expected.gradients).map(([, norm]) => norm));
    for (const [path, [sum, norm]] of Object.entries(expected.gradients)) {
      const gradient = grads[variables.get(path)!.name]!;
      const scale = Math.max(norm, largest * 1e-4);
      expect(Math.abs(weighed(gradient) - sum) / scale, path).toBeLessThan(1e-3);
      expect(Math.abs(tf.norm(gradient).dataSync()[0]! - norm) / scale, path).toBeLessThan(1e-3);
    }
    const flat = flatten(network.params);
    for (const [path, sum] of Object.entries(expected.running))
      expect(Math.abs(weighed(flat.get(path)!) - sum), path).toBeLessThan(1e-3);
    const evaluated = network.maps(images, { training: false })[3]!;
    expect(worst(evaluated.dataSync(), expected.evaluated)).toBeLessThan(1e-4);
  });

  it.each(all)("%s never lets hidden places reach active ones, and is zero at hidden ones", (name) => {
    const { params, maps, stride } = networks[name]();
    fill(params);
    const side = 2 * stride;
    const cells = tf.tensor4d([1, 0, 0, 1, 0, 1, 1, 0], [2, 2, 2, 1]);
    const shown = activePlaces(cells).at(side, side);
    const images = tf.mul(pictures(side), shown);
    const sparse = maps(images, { training: true, active: activePlaces(cells) });
    for (const map of sparse) {
      const hidden = tf.sub(1, activePlaces(cells).at(map.shape[1]!, map.shape[2]!));
      expect(tf.max(tf.abs(tf.mul(map, hidden))).dataSync()[0]).toBe(0);
    }
    // With every place active it is the dense network.
    const everywhere = activePlaces(tf.ones([2, 1, 1, 1]) as tf.Tensor4D);
    const full = maps(images, { training: true, active: everywhere })[3]!;
    const dense = maps(images, { training: true })[3]!;
    expect(worst(full.dataSync(), [...dense.dataSync()])).toBeLessThan(1e-5);
  });
});

describe("convolutional networks", () => {
  it.each(all)("%s has timm's names and shapes", (name) => {
    const { params } = networks[name]();
    const shapes = [...flatten(params)].map(([path, { shape }]) => [path, shape] as const);
    expect(Object.fromEntries(shapes)).toEqual(recorded[name]!.shapes);
  });

  it.each(["resnet18", "resnet50"] as const)("%s has timm's state dict but for the head", (name) => {
    const own = tidy(() => {
      const shape = { channels: 3, width: 4, stem: "imagenet", ...resnetSizes[name] } as const;
      return [...flatten(initResNet(createRandom(1), shape)).keys()];
    });
    expect(own.sort()).toEqual(names[name]!.filter((path) => !path.startsWith("fc.")).sort());
  });

  it("drops whole branches of samples, more of them the deeper they are, and scales the others", () => {
    const drops = drawBlockDrops(createRandom(2), { blocks: 3, batch: 2000, rate: 0.5 })!;
    const shares = [0, 1, 2].map((block) => {
      const kept = drops.slice(block * 2000, (block + 1) * 2000).filter((scale) => scale > 0);
      for (const scale of kept) expect(scale).toBeCloseTo(1 / (1 - block / 4), 6);
      return 1 - kept.length / 2000;
    });
    expect(shares[0]).toBe(0);
    expect(shares[1]).toBeCloseTo(0.25, 1);
    expect(shares[2]).toBeCloseTo(0.5, 1);
    expect(drawBlockDrops(createRandom(2), { blocks: 3, batch: 4, rate: 0 })).toBeUndefined();
  });
});
