/** Runs of methods with averages, queues, teachers and an order of their own, killed and continued. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, type Method, type Model, pretrain, resume } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { arrayImages } from "../read/array-images.js";
import type { ImageMethod } from "../views.js";
import { byol } from "./byol.js";
import { convDae } from "./conv-dae.js";
import { gSimclr } from "./g-simclr.js";
import { moco } from "./moco.js";

let home = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  home = await mkdtemp(join(tmpdir(), "unmask-image-resume-"));
});
afterAll(() => rm(home, { recursive: true }));

const input = { imageSize: 8, channels: 1, mean: [0.5], std: [0.25] };
const vit = { ...input, backbone: "vit", patchSize: 4, width: 8, depth: 1, heads: 2 };
const training = { epochs: 3, batchSize: 4, lr: 1e-2, checkpointEvery: { epochs: 0.5 } };
const prior = () => createModel(convDae, { ...input, widths: [4] }, { seed: 2 }) as unknown as Model;

it.each([
  [moco, { ...vit, projectionWidth: 6, queueLength: 7, momentum: 0.9 }, () => ({})],
  [byol, { ...vit, hiddenWidth: 8, projectionWidth: 6 }, () => ({})],
  [gSimclr, { ...vit, projectionWidths: [6] }, () => ({ prior: prior() })],
] as [Method, object, () => Record<string, Model>][])(
  "$id goes on to the bit, its teachers as they were",
  async (method, given, teachersOf) => {
    const random = createRandom(3);
    const open = (config: object) =>
      arrayImages(createRandom(3).uniforms(14 * 64), {
        height: 8,
        width: 8,
        size: 8,
        trainingView: (method as ImageMethod).trainingView!(config),
      });
    const begin = (out: string) => {
      const model = createModel(method, given as never, { seed: 1, teachers: teachersOf() });
      return pretrain(model, open(model.config), { ...training, out: join(home, out) });
    };
    const end = async (out: string) => {
      const run = join(home, out);
      const latest = (await readFile(join(run, "latest"), "utf8")).trim();
      return readFile(join(run, latest, "model.safetensors"));
    };
    const whole = `${method.id}-whole`;
    const died = `${method.id}-died`;
    for await (const _ of begin(whole));
    for await (const event of begin(died)) if (event.type === "step" && event.step === 5) break;
    const { events, model } = await resume(join(home, died), {
      methods: [method],
      teachers: teachersOf(),
      dataset: (run) => open(run.config),
    });
    for await (const _ of events);
    expect((await end(died)).equals(await end(whole))).toBe(true);
    for (const [role, teacher] of Object.entries(teachersOf())) {
      const sample = [{ pixels: random.uniforms(64), height: 8, width: 8, channels: 1 }];
      expect(model.teachers[role]!.encode(sample).dataSync()).toEqual(teacher.encode(sample).dataSync());
    }
  },
);
