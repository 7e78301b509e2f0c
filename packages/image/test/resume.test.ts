import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, type Model, pretrain, resume, type TrainOptions } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { arrayImages, bootMae, cmae, type ImageSample } from "../src/index.js";

let home: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
  home = await mkdtemp(join(tmpdir(), "unmask-image-resume-"));
});
afterAll(() => rm(home, { recursive: true }));

const shape = {
  imageSize: 8,
  patchSize: 2,
  channels: 1,
  width: 8,
  depth: 1,
  heads: 2,
  mean: [0.5],
  std: [0.25],
};
const decoder = { decoderWidth: 8, decoderDepth: 1 };
const images = arrayImages(createRandom(1).uniforms(24 * 64), { height: 8, width: 8, channels: 1 });
const options: TrainOptions = {
  epochs: 2,
  batchSize: 8,
  lr: 0.01,
  checkpointEvery: { epochs: 1 },
  keepCheckpoints: 9,
};

const models = {
  "boot-mae": () => createModel(bootMae, { ...shape, ...decoder }) as unknown as Model<object, ImageSample>,
  cmae: () =>
    createModel(cmae, {
      ...shape,
      ...decoder,
      decoderHeads: 2,
      featureDepth: 1,
      projectionHidden: 8,
      projectionWidth: 4,
    }) as unknown as Model<object, ImageSample>,
};

it.each(Object.keys(models) as (keyof typeof models)[])(
  "%s: momentum branch, running statistics and weights resume to the bit",
  async (id) => {
    const [whole, broken] = [join(home, `${id}-whole`), join(home, `${id}-broken`)];
    for await (const event of pretrain(models[id](), images, { ...options, out: whole })) void event;
    for await (const event of pretrain(models[id](), images, { ...options, out: broken }))
      if (event.type === "step" && event.step === 4) break; // after the checkpoint of step 3
    const { events } = await resume(broken, { methods: [bootMae, cmae], dataset: images });
    for await (const event of events) void event;
    const final = (run: string) => readFile(join(run, "checkpoints", "6", "model.safetensors"));
    expect((await final(broken)).equals(await final(whole))).toBe(true);
    const early = await readFile(join(whole, "checkpoints", "3", "model.safetensors"));
    expect(early.equals(await final(whole))).toBe(false);
  },
);
