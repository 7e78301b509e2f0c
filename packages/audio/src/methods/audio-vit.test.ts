import { createModel, createRandom, type Random } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AudioSample } from "../sample.js";
import { audioVit } from "./audio-vit.js";

const config = {
  ...{ inputSize: [8, 8], patchSize: [2, 4], width: 8, depth: 2, heads: 2 },
  ...{ classes: 3, dropPath: 0.2, smoothing: 0.1, timeDrop: 0.25, frequencyDrop: 0.5, mean: 0, std: 1 },
} satisfies Parameters<typeof createModel<typeof audioVit>>[1];

const samples = (count: number, random: Random): AudioSample[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ values: random.normals(64), frames: 8, bands: 8, channels: 1 },
    ...(i % 2 === 0 ? { label: i % 3 } : { targets: Float32Array.of(1, 0.5, 0) }),
  }));

await contractSuite({ method: audioVit, config, samples, features: 8, overfits: 0.7 });
it("takes several labels as they are and refuses samples that have none or too many", () => {
  const model = createModel(audioVit, { ...config, smoothing: 0 });
  const [one, several] = samples(2, createRandom(1));
  const { targets } = model.prepare([one!, several!], createRandom(2));
  expect([...targets.dataSync()]).toEqual([1, 0, 0, 1, 0.5, 0]);
  expect(() => model.prepare([{ ...one!, label: undefined }], createRandom(1))).toThrow("label -1");
  const wide = { ...one!, targets: new Float32Array(4) };
  expect(() => model.prepare([wide], createRandom(1))).toThrow("targets of 4 classes, the model of 3");
});

it("scores classes one by one, or against each other", () => {
  const [sample] = samples(1, createRandom(1));
  const [one, other] = (["bce", "ce"] as const).map((loss) => {
    const model = createModel(audioVit, { ...config, loss, smoothing: 0 });
    const batch = model.prepare([sample!], createRandom(2));
    return model.loss(batch).total.dataSync()[0]!;
  });
  expect(one).toBeCloseTo(Math.log(2), 3); // a new head says next to nothing
  expect(other).toBeCloseTo(Math.log(3), 3);
});
