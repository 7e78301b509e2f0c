import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, flatten, type Random, trainable } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { digest, fillWithWaves, type LossFixture, waveMask, waveTensor } from "../../test/waves.js";
import type { VideoSample } from "../sample.js";
import { type CrossVideoMaeBatch, crossVideoMae } from "./cross-video-mae.js";

const config = {
  ...{ frames: 4, imageSize: 8, tubeletSize: 2, patchSize: 4, channels: 3, mean: [0.4], std: [0.3] },
  ...{ width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2, maskRatio: 0.5 },
  ...{ frameWidth: 8, frameDepth: 1, frameHeads: 2, frameMaskRatio: 0.5 },
  ...{ frameDecoderWidth: 8, frameDecoderDepth: 1, frameDecoderHeads: 2 },
  ...{ projectionHidden: 6, projectionWidth: 5, temperature: 0.2 },
} satisfies Parameters<typeof createModel<typeof crossVideoMae>>[1];

const shape = { frames: 4, height: 8, width: 8, channels: 3 };
const samples = (count: number, random: Random): VideoSample[] =>
  Array.from({ length: count }, () => ({ pixels: random.uniforms(4 * 8 * 8 * 3), ...shape }));

await contractSuite({ method: crossVideoMae, config, samples, features: 8, overfits: 0.8 });

const fixture: LossFixture = JSON.parse(
  readFileSync(new URL("../../test/fixtures/cross-losses.json", import.meta.url), "utf8"),
).cross;

await onEveryEngine("cross-video-mae", () => {
  it("has the losses and gradients that PyTorch computes from the formulas", () => {
    const model = createModel(crossVideoMae, {
      ...config,
      ...{ videoWeight: 0.9, frameWeight: 0.8, intraWeight: 0.7, crossWeight: 0.6, crossChanged: true },
    });
    fillWithWaves(model.params);
    const clips = waveTensor([3, 4, 8, 8, 3], 1) as tf.Tensor5D;
    const changed = waveTensor([3, 4, 8, 8, 3], 2, 0.8, 0.1) as tf.Tensor5D;
    const pick = (of: tf.Tensor) =>
      tf.gather(of.reshape([12, 8, 8, 3]), tf.tensor1d([0, 3, 5, 6, 9, 11], "int32")) as tf.Tensor4D;
    const batch: CrossVideoMaeBatch = {
      ...{ clips, changed, frames: pick(clips), changedFrames: pick(changed) },
      masks: {
        ...{ clips: waveMask(3, 8, 1, 3), changed: waveMask(3, 8, 4, 3) },
        ...{ frames: waveMask(6, 4, 1, 2), changedFrames: waveMask(6, 4, 2, 2) },
      },
    };
    const terms = crossVideoMae.loss(model.params, model.config, batch);
    for (const [name, value] of Object.entries(fixture.terms))
      expect(Math.abs(terms[name]!.dataSync()[0]! - value) / value, name).toBeLessThan(1e-5);
    const variables = trainable(model.params);
    expect([...variables.keys()].sort()).toEqual(Object.keys(fixture.gradients).sort());
    const { grads } = tf.variableGrads(
      () => crossVideoMae.loss(model.params, model.config, batch).total,
      [...variables.values()],
    );
    const largest = Math.max(...Object.values(fixture.gradients).flat().map(Math.abs));
    for (const [path, { name }] of variables)
      digest(grads[name]!).forEach((value, i) => {
        expect(Math.abs(value - fixture.gradients[path]![i]!) / largest, path).toBeLessThan(2e-5);
      });
  });

  it("trains the projector of a frozen frame branch and leaves the branch out of the reconstruction", () => {
    const model = createModel(crossVideoMae, { ...config, freezeFrames: true });
    const paths = [...trainable(model.params).keys()];
    expect(paths.filter((path) => path.startsWith("frames."))).toEqual([]);
    expect(paths.filter((path) => path.startsWith("frame_projector."))).toHaveLength(4);
    expect(flatten(model.params).has("frames.blocks.0.attn.qkv.weight")).toBe(true);
    const terms = model.loss(model.prepare(samples(2, createRandom(1)), createRandom(2)));
    expect(Object.keys(terms)).toEqual(["total", "video", "intra", "cross"]);
  });
});

it("gives the changed view the same change in all frames, and samples one frame of each part", () => {
  const model = createModel(crossVideoMae, config);
  const [sample] = samples(1, createRandom(1));
  const still = sample!.pixels.slice(0, 192);
  const pixels = Float32Array.from({ length: 768 }, (_, i) => still[i % 192]!);
  let differs = 0;
  for (let seed = 0; seed < 6; seed++) {
    const batch = model.prepare([{ ...sample!, pixels }, sample!], createRandom(seed));
    const [first, ...others] = tf.unstack(batch.changed.slice([0], [1]).squeeze([0]));
    for (const other of others) expect(other.dataSync()).toEqual(first!.dataSync());
    const unchanged = batch.clips.slice([0, 0], [1, 1]).dataSync();
    differs += Number(first!.dataSync().some((value, i) => Math.abs(value - unchanged[i]!) > 1e-3));
    const frameOf = (clip: number, at: number) =>
      [...batch.clips.slice([clip, at], [1, 1]).dataSync()].join();
    const picked = tf.unstack(batch.frames).map((frame) => [...frame.dataSync()].join());
    expect([frameOf(1, 0), frameOf(1, 1)]).toContain(picked[2]);
    expect([frameOf(1, 2), frameOf(1, 3)]).toContain(picked[3]);
  }
  expect(differs).toBe(6);
});
