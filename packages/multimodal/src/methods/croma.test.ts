import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  disposeAll,
  encodeTorchZip,
  findStateDict,
  type Model,
  maskedFlags,
  parseTorch,
  type Random,
  type RawTensor,
  readParameters,
  writeParameters,
} from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { importCroma } from "../checkpoints/croma.js";
import type { AlignedSample } from "../sample.js";
import {
  type CromaBatch,
  type CromaConfig,
  type CromaParams,
  croma,
  cromaContrast,
  cromaDecode,
  cromaEncode,
  cromaReconstructionLoss,
} from "./croma.js";

const config = {
  imageSize: 8,
  patchSize: 2,
  opticalBands: 3,
  radarBands: 2,
  width: 12,
  depth: 2,
  heads: 3,
  decoderWidth: 8,
  decoderHeads: 2,
  contrastGradient: "both", // the other is no gradient of the loss; the goldens hold it
} satisfies Parameters<typeof createModel<typeof croma>>[1];

const samplesOf = (
  count: number,
  random: Random,
  [h, w]: readonly [number, number] = [8, 8],
): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      optical: { values: random.uniforms(h * w * 3), shape: [h, w, 3] },
      radar: { values: random.normals(h * w * 2), shape: [h, w, 2] },
    },
  }));

await contractSuite({
  method: croma,
  config,
  samples: (count, random) => samplesOf(count, random),
  features: 12,
  overfits: 0.7,
  withNoiseAtVisible(model, given, random) {
    const { params, config } = model as Model<CromaConfig, AlignedSample, CromaBatch, CromaParams>;
    const batch = given as CromaBatch;
    const encoded = cromaEncode(params, config, batch);
    const prediction = cromaDecode(params, config, encoded.joint, batch.radarMask);
    const visible = (mask: CromaBatch["radarMask"], width: number) =>
      tf.mul(tf.sub(1, tf.tensor(maskedFlags(mask), [mask.batch, mask.tokens, 1])), tf.ones([1, 1, width]));
    const shown = tf.concat([visible(batch.opticalMask, 12), visible(batch.radarMask, 8)], 2);
    const noise = tf.mul(tf.tensor(random.normals(prediction.size), prediction.shape), shown);
    const contrast = cromaContrast(params, config, encoded.opticalGap, encoded.radarGap);
    return tf.add(contrast, cromaReconstructionLoss(config, batch, tf.add(prediction, noise)));
  },
});

await onEveryEngine("croma", () => {
  it("encodes one sensor alone, both together and larger images, each in its place", () => {
    const model = createModel(croma, config);
    const [pair] = samplesOf(1, createRandom(1));
    const { optical, radar } = pair!.parts as Required<(typeof pair & object)["parts"]>;
    const mixed = model.encode([
      { parts: { radar: radar! } },
      pair!,
      { parts: { optical: optical! } },
    ]) as tf.Tensor2D;
    const alone = [{ radar: radar! }, pair!.parts, { optical: optical! }].map((parts) =>
      Array.from(model.encode([{ parts }]).dataSync()),
    );
    mixed.arraySync().forEach((row, i) => {
      row.forEach((value, j) => {
        expect(value).toBeCloseTo(alone[i]![j]!, 5);
      });
    });
    expect(alone[0]).not.toEqual(alone[1]);
    expect(model.encode(samplesOf(2, createRandom(2), [10, 12])).shape).toEqual([2, 12]);
    expect(model.encode(samplesOf(2, createRandom(2), [10, 12]), { pool: "tokens" }).shape).toEqual([
      2, 30, 12,
    ]);
  });
});

it("says what a sample lacks", () => {
  const model = createModel(croma, config);
  const lone = samplesOf(2, createRandom(1)).map(({ parts: { radar } }) => ({ parts: { radar: radar! } }));
  expect(() => model.prepare(lone, createRandom(1))).toThrow(
    "sample 0 has no optical image; training takes pairs",
  );
  expect(() => model.encode([{ parts: {} }])).toThrow("the model takes optical, radar");
});

it("takes the published weights: dicts by encoder, under the inference code's names", async () => {
  const model = createModel(croma, { ...config, patchSize: 4, heads: 4 }, { seed: 3 });
  const parameters = await readParameters(model.params);
  const published = new Map<string, RawTensor>();
  for (const [path, raw] of parameters) {
    const [head = "", ...rest] = path.split(".");
    const name = {
      radar_encoder: "s1_encoder",
      optical_encoder: "s2_encoder",
      cross_encoder: "joint_encoder",
    }[head];
    const gap = { GAP_FFN_radar: "s1_GAP_FFN", GAP_FFN_optical: "s2_GAP_FFN" }[head];
    if (gap) published.set([gap, ...rest].join("."), raw);
    if (name)
      published.set(
        [name, ...rest]
          .join(".")
          .replace(/\.create_/, ".to_")
          .replace(/\.out\./, ".to_out.")
          .replace(/\.net\.2\./, ".net.3."),
        raw,
      );
  }
  const imported = importCroma(findStateDict(parseTorch(encodeTorchZip(published))), {
    patchSize: 4,
    heads: 4,
  });
  expect(imported.config).toMatchObject({ width: 12, depth: 2, opticalBands: 3, radarBands: 2 });
  const other = createModel(croma, { ...config, patchSize: 4, heads: 4 }, { seed: 4 });
  const { missing, unexpected } = writeParameters(other.params, imported.parameters, { strict: false });
  expect(unexpected).toEqual([]);
  expect(missing.every((path) => imported.optional.some((start) => path.startsWith(start)))).toBe(true);
  const features = [model, other].map((m) => m.encode(samplesOf(2, createRandom(1))));
  expect(features[1]!.dataSync()).toEqual(features[0]!.dataSync());
  disposeAll(features);
});
