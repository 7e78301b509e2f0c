import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createDataset,
  createModel,
  createRandom,
  disposeAll,
  flatten,
  interpolatePositions,
  type Model,
  readParameters,
  tidy,
} from "@unmask/core";
import { beforeAll, describe, expect, it } from "vitest";
import { audioMae } from "../methods/audio-mae.js";
import { audioVit } from "../methods/audio-vit.js";
import { decodeWav, encodeWav } from "../read/wav.js";
import type { AudioSample } from "../sample.js";
import { evaluateTagging } from "../tagging.js";
import { createAudioClassifier } from "./classifier.js";
import { fitSizes } from "./configure.js";
import { exportAudioModel, importAudioModel } from "./foreign.js";
import { modality } from "./index.js";

const tiny = {
  ...{ inputSize: [32, 16], patchSize: [4, 4], width: 8, depth: 1, heads: 2, sampleRate: 8000 },
  ...{ decoderWidth: 8, decoderDepth: 1, decoderHeads: 2, mean: -6, std: 4 },
} satisfies Parameters<typeof createModel<typeof audioMae>>[1];

let root: string;
beforeAll(() => {
  process.env.XDG_CACHE_HOME = root = mkdtempSync(join(tmpdir(), "unmask-audio-modality-"));
  return () => {
    delete process.env.XDG_CACHE_HOME;
    rmSync(root, { recursive: true });
  };
});

function recordings(name: string, rate: number, seconds: readonly number[]): string {
  const folder = join(root, name);
  mkdirSync(folder);
  seconds.forEach((length, i) => {
    const values = createRandom(i)
      .normals(Math.round(rate * length))
      .map((value) => 0.1 * value);
    writeFileSync(join(folder, `${i % 2}_${i}.wav`), encodeWav({ channels: [values], sampleRate: rate }));
  });
  return folder;
}

describe("configure", () => {
  const configure = (source: string, given = {}) =>
    modality.configure({ method: audioMae, source, data: { workers: 0 }, given });

  it("takes rate, sizes and scale from the recordings, and says so", async () => {
    const source = recordings("short", 8000, [0.3, 0.4, 0.5, 0.5]);
    const { config, notes } = await configure(source);
    expect(config).toMatchObject({ sampleRate: 8000, inputSize: [56, 64], patchSize: [8, 8] });
    expect(config.mean).toBeTypeOf("number");
    expect(notes.join("\n")).toContain("56 patches");
    const given = { sampleRate: 8000, inputSize: [32, 16], patchSize: 4, mean: 0, std: 1 };
    expect((await configure(source, given)).config).toEqual({});
  });

  it("chooses what published models take for ten seconds and more, never beyond", () => {
    expect(fitSizes({ frames: 998, bands: 128 })).toEqual([
      [1008, 128],
      [16, 16],
    ]);
    expect(fitSizes({ frames: 360000, bands: 128 })).toEqual([
      [1024, 128],
      [16, 16],
    ]);
    expect(fitSizes({ frames: 10, bands: 64 })).toEqual([
      [12, 64],
      [4, 4],
    ]);
    expect(fitSizes({ frames: 10, bands: 64 }, [100, 40])).toEqual([
      [100, 40],
      [4, 4],
    ]);
    expect(() => fitSizes({ frames: 10, bands: 64 }, [101, 40])).toThrow("give patchSize");
  });
});

it("opens a folder and single files with a model's form, and describes them without an encoder", async () => {
  const source = recordings("open", 8000, [0.3, 0.4]);
  const { config } = createModel(audioMae, tiny);
  const data = { labelPattern: "^(\\d)", augment: "none", workers: 0 };
  const folder = modality.open(source, { method: audioMae, config, data });
  expect([folder.classes, [...folder.labels!]]).toEqual([
    ["0", "1"],
    [0, 1],
  ]);
  const samples: AudioSample[] = await folder.take(2);
  expect([samples[0]!.frames, samples[0]!.bands]).toEqual([32, 16]);
  expect(
    await modality.open([join(source, "0_0.wav")], { method: audioMae, config, data: { workers: 0 } }).get(0),
  ).toEqual({
    ...samples[0],
    label: undefined,
  });
  const rows = modality.raw.features(samples);
  expect(rows).toHaveLength(2 * 2 * 16);
  const { values, recorded } = samples[1]!;
  const band = Array.from({ length: recorded! }, (_, frame) => values[frame * 16 + 3]!);
  const mean = band.reduce((a, b) => a + b, 0) / band.length;
  expect(rows[32 + 3]).toBeCloseTo(mean, 4);
  expect(rows[32 + 16 + 3]).toBeCloseTo(
    Math.sqrt(band.reduce((a, b) => a + (b - mean) ** 2, 0) / band.length),
    4,
  );
});

it("draws a reconstruction with its axes and makes sound of it", async () => {
  const source = recordings("drawn", 8000, [0.3]);
  const model = createModel(audioMae, tiny);
  const opened = modality.open(source, { method: audioMae, config: model.config, data: { workers: 0 } });
  const samples = await opened.take(1);
  const reconstruction = model.reconstruct(samples, createRandom(1));
  const files = await modality.writeReconstruction!(reconstruction, join(root, "drawings", "a"));
  disposeAll(reconstruction);
  expect(files.map((file) => file.slice(root.length))).toEqual([
    "/drawings/a.png",
    "/drawings/a-original.wav",
    "/drawings/a-reconstructed.wav",
  ]);
  const sound = decodeWav(await readFile(files[2]!));
  expect([sound.sampleRate, sound.channels[0]!.length]).toEqual([8000, (28 - 1) * 80 + 200]);
  expect(Math.max(...sound.channels[0]!.map(Math.abs))).toBeCloseTo(0.9, 3);
});

describe("createAudioClassifier", () => {
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];

  it("begins with the encoder, its positions interpolated in their own layout, under a new head", () => {
    const encoder = createModel(audioMae, tiny, { seed: 3 }) as unknown as Model;
    const classifier = createAudioClassifier(encoder, { classes: 5, inputSize: [64, 16] }, createRandom(1));
    expect(classifier.config).toMatchObject({ inputSize: [64, 16], classes: 5, width: 8, timeDrop: 0.2 });
    for (const path of ["cls_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"])
      expect(values(classifier, path)).toEqual(values(encoder, path));
    const table = flatten(encoder.params).get("pos_embed")!;
    const wanted = tidy(() => interpolatePositions(table, [4, 8], [4, 16], { cls: 1 }));
    expect(values(classifier, "pos_embed")).toEqual([...wanted.dataSync()]);
    expect(() => createAudioClassifier(encoder, { clases: 4 }, createRandom(0))).toThrow("clases");
  });
});

describe("importModel and exportModel", () => {
  it.each(["global", "local"] as const)(
    "take the official layout with a %s decoder in both directions",
    async (decoder) => {
      const model = createModel(audioMae, { ...tiny, decoder }, { seed: 3 });
      const parameters = await readParameters(model.params);
      const official = exportAudioModel(
        { method: "audio-mae", config: model.config, parameters },
        "official",
      );
      const { inputSize, mean, std, sampleRate } = model.config;
      const hints = { heads: 2, decoderHeads: 2, inputSize: [...inputSize], mean, std, sampleRate };
      const imported = importAudioModel(official, hints);
      expect(imported.config).toEqual(model.config);
      expect(imported.parameters).toEqual(parameters);
      expect(() => importAudioModel(official, { inputSize: [32, 16] })).toThrow("give heads for width 8");
    },
  );

  it("reads the grid of 128 bands from the positions, and has no other layout", async () => {
    const model = createModel(audioVit, {
      ...{ inputSize: [32, 128], patchSize: 16, width: 192, depth: 1, heads: 3, classes: 2 },
    });
    const parameters = await readParameters(model.params);
    expect(importAudioModel({ parameters }, {}).config).toEqual(model.config);
    expect(() => exportAudioModel({ method: "audio-vit", config: {}, parameters }, "huggingface")).toThrow(
      "no huggingface layout",
    );
  });
});

it("scores several labels by mean average precision over the classes that occur", async () => {
  const { inputSize, patchSize, width, depth, heads } = tiny;
  const model = createModel(audioVit, { inputSize, patchSize, width, depth, heads, classes: 3 }, { seed: 1 });
  const targets = [
    [1, 1, 0],
    [1, 0, 0],
    [0, 1, 0],
  ];
  const samples = targets.map(
    (row, i): AudioSample => ({
      ...{ values: createRandom(i).normals(512), frames: 32, bands: 16, channels: 1 },
      targets: Float32Array.from(row),
    }),
  );
  const dataset = createDataset({ name: "tags", length: 3, get: async (i) => samples[i]! });
  const { meanAveragePrecision, perClass } = await evaluateTagging(
    model as unknown as Model<object, AudioSample>,
    dataset,
  );
  const logits = tidy(() => audioVit.logits(model.params, model.config, samples).arraySync());
  const precision = (c: number) => {
    const order = [0, 1, 2].sort((a, b) => logits[b]![c]! - logits[a]![c]!);
    const hits = order.flatMap((sample, rank) => (targets[sample]![c] ? rank + 1 : []));
    return hits.reduce((sum, rank, i) => sum + (i + 1) / rank, 0) / hits.length;
  };
  expect(perClass[0]).toBeCloseTo(precision(0), 9);
  expect(perClass[2]).toBeNaN();
  expect(meanAveragePrecision).toBeCloseTo((precision(0) + precision(1)) / 2, 9);
});
