import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, flatten, type Model, readParameters } from "@unmask/core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeVideo } from "../../test/make-video.js";
import { crossVideoMae } from "../methods/cross-video-mae.js";
import { videoMae } from "../methods/video-mae.js";
import { videoVit } from "../methods/video-vit.js";
import { videoFiles } from "../read/video-folder.js";
import { createVideoClassifier } from "./classifier.js";
import { fitFrames, fitSizes } from "./configure.js";
import { exportVideoModel, importVideoModel } from "./foreign.js";
import { modality } from "./index.js";

let root = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  root = mkdtempSync(join(tmpdir(), "unmask-video-modality-"));
  mkdirSync(join(root, "set"));
  for (const i of [0, 1, 2])
    makeVideo(join(root, `set/${i}.mp4`), { frames: 10 + i, level: (f, y, x) => 40 * i + f + x + y });
});
afterAll(() => rmSync(root, { recursive: true }));

const TINY = {
  ...{ frames: 4, imageSize: 16, patchSize: 8, width: 16, depth: 2, heads: 2 },
  ...{ decoderWidth: 12, decoderDepth: 1, decoderHeads: 3 },
};

describe("configure", () => {
  it("takes size, clip length, mean and deviation from the videos, and says so", async () => {
    const source = join(root, "set");
    const data = { workers: 0 };
    const { config, notes } = await modality.configure({ method: videoMae, source, data, given: {} });
    expect(config).toMatchObject({ imageSize: [48, 48], patchSize: [4, 4], frames: 10 });
    expect((config.mean as number[]).length).toBe(3);
    expect(notes.join("\n")).toContain("10 frames of 48x48, patchSize 4x4, 720 cubes");
    const given = { frames: 4, imageSize: 32, patchSize: 8, mean: [0.5], std: [0.5] };
    expect((await modality.configure({ method: videoMae, source, data, given })).config).toEqual({});
  });

  it("fits sizes and lengths", () => {
    expect(fitSizes(240)).toEqual([
      [224, 224],
      [16, 16],
    ]);
    expect(fitSizes(64)).toEqual([
      [64, 64],
      [8, 8],
    ]);
    expect(fitFrames([300, 20, 40], 2)).toBe(16);
    expect(fitFrames([300, 7, 40], 2)).toBe(6);
    expect(fitFrames([1], 2)).toBe(2);
  });
});

it("reduces raw clips to a grid of means", () => {
  const pixels = Uint8Array.from({ length: 2 * 32 * 32 }, (_, i) => (i < 1024 ? 255 * (i % 2) : 51));
  const features = modality.raw.features([{ pixels, frames: 2, height: 32, width: 32, channels: 1 }]);
  expect(features.length).toBe(2 * 256);
  expect(features[0]).toBeCloseTo(0.5, 6);
  expect(features[256]).toBeCloseTo(0.2, 6);
});

it("writes film strips and animations", async () => {
  const model = createModel(videoMae, { ...TINY, maskRatio: 0.5 });
  const pixels = createRandom(1).uniforms(4 * 16 * 16 * 3);
  const sample = { pixels, frames: 4, height: 16, width: 16, channels: 3 };
  const reconstruction = model.reconstruct([sample], createRandom(2));
  const files = await modality.writeReconstruction!(reconstruction, join(root, "pictures/one"));
  expect(files.map((file) => file.slice(-5))).toEqual(["e.png", ".webp", "e.mp4"]);
  const animation = await sharp(files[1]!, { animated: true }).metadata();
  expect([animation.pages, animation.loop]).toEqual([4, 0]);
  // The first frame of the original, enlarged sixfold, stands below its title.
  const { data, info } = await sharp(files[0]!).raw().toBuffer({ resolveWithObject: true });
  const at = (y: number, x: number) => data[(y * info.width + x) * info.channels]!;
  const title = info.height > 3 * 96 ? 26 : 0;
  for (const [y, x] of [
    [0, 0],
    [5, 9],
    [15, 15],
  ] as const)
    expect(Math.abs(at(title + 6 * y + 3, 4 + 6 * x + 3) - 255 * pixels[(y * 16 + x) * 3]!)).toBeLessThan(1);
  // The video shows what the animation shows, but for what its coding loses.
  const { width, pageHeight } = animation as { width: number; pageHeight: number };
  const options = { frames: 4, stride: 1, size: [pageHeight, width], workers: 0 } as const;
  const video = await videoFiles([files[2]!], options).get(0);
  const shown = await sharp(files[1]!, { animated: true }).removeAlpha().raw().toBuffer();
  const difference = shown.reduce((sum, value, i) => sum + Math.abs(value - video.pixels[i]!), 0);
  expect(difference / video.pixels.length).toBeLessThan(12);
});

describe("createClassifier", () => {
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];

  it("begins with the encoder, its final norm before a new head", () => {
    for (const [method, prefix] of [
      [videoMae, "encoder."],
      [crossVideoMae, "video.encoder."],
    ] as const) {
      const frameSizes = {
        frameWidth: 8,
        frameDepth: 1,
        frameHeads: 2,
        frameDecoderWidth: 8,
        frameDecoderDepth: 1,
      };
      const extra =
        method === crossVideoMae ? { ...frameSizes, frameDecoderHeads: 2, projectionHidden: 4 } : {};
      const encoder = createModel(method as typeof videoMae, { ...TINY, ...extra }, { seed: 3 }) as Model;
      const norm = flatten(encoder.params).get(`${prefix}norm.bias`)!;
      norm.assign(tf.ones(norm.shape));
      const classifier = createVideoClassifier(encoder, { classes: 5, frames: 6 }, createRandom(1));
      expect(classifier.config).toMatchObject({ frames: 6, classes: 5, width: 16, dropPath: 0.1 });
      for (const path of ["patch_embed.proj.weight", "blocks.1.attn.q_bias", "blocks.0.mlp.fc1.weight"])
        expect(values(classifier, path)).toEqual(values(encoder, prefix + path));
      expect(values(classifier, "fc_norm.bias")).toEqual(values(encoder, `${prefix}norm.bias`));
    }
  });

  it("keeps the head of a classifier that tells as many classes apart", () => {
    const { decoderWidth: _, decoderDepth: __, decoderHeads: ___, ...sizes } = TINY;
    const model = createModel(videoVit, { ...sizes, classes: 4 }, { seed: 1 }) as Model;
    const same = createVideoClassifier(model, { classes: 4 }, createRandom(2));
    expect(values(same, "head.weight")).toEqual(values(model, "head.weight"));
    expect(() => createVideoClassifier(model, { clases: 4 }, createRandom(0))).toThrow("clases");
  });
});

describe("importModel and exportModel", () => {
  const model = createModel(videoMae, TINY, { seed: 3 });

  it("take the official layout as it is, in both directions", async () => {
    const parameters = await readParameters(model.params);
    const official = exportVideoModel({ method: "video-mae", config: model.config, parameters }, "official");
    expect(official.parameters).toEqual(parameters);
    const hints = { heads: 2, decoderHeads: 3, frames: 4, imageSize: 16 };
    const imported = importVideoModel(official, hints);
    expect(imported.config).toEqual(model.config);
    expect(imported.method.id).toBe("video-mae");
    expect(() => importVideoModel(official, {})).toThrow("give heads for width 16");
  });

  it("carry models, mean and deviation through folders of transformers", async () => {
    const { decoderWidth: _, decoderDepth: __, decoderHeads: ___, ...sizes } = TINY;
    const classifier = createModel(videoVit, { ...sizes, classes: 3 }, { seed: 1 });
    for (const one of [model, classifier]) {
      const parameters = await readParameters(one.params);
      const config = { ...one.config, mean: [0.3], std: [0.2] };
      const method = one.method.id;
      const folder = exportVideoModel(
        { method, config, parameters, classes: ["a", "b", "c"] },
        "huggingface",
      );
      const imported = importVideoModel(folder, {});
      const { headEpsilon, ...rest } = imported.config as { headEpsilon?: number };
      expect(headEpsilon).toBe(1e-5); // transformers', which its config cannot change
      const { maskRatio: ____, headScale: _____, ...told } = config as Record<string, unknown>;
      expect(rest).toMatchObject(told);
      expect(imported.parameters).toEqual(parameters);
      if (one === classifier) expect(imported.classes).toEqual(["a", "b", "c"]);
    }
  });

  it("refuse methods that the layouts have no place for", () => {
    const other = { method: "other", config: {}, parameters: new Map() };
    expect(() => exportVideoModel(other, "official")).toThrow("other has no official layout");
  });
});
