/** Aligned samples by path, in the form that a method takes. */
import type { Dataset, OpenOptions, Source } from "@unmask/core";
import { expect, UnmaskError } from "@unmask/core";
import { z } from "zod";
import type { ArrayModalities } from "../array-encoder.js";
import type { CromaConfig } from "../methods/croma.js";
import type { HicmaeConfig } from "../methods/hicmae.js";
import type { MindEyeConfig } from "../methods/mind-eye.js";
import type { LowLevelConfig } from "../methods/mind-eye-low-level.js";
import type { MultiMaeConfig } from "../methods/multi-mae.js";
import type { SimvtpConfig } from "../methods/simvtp.js";
import { alignedSamples } from "../read/aligned-samples.js";
import { type AlignedSample, partValues } from "../sample.js";

/** The `data` section of a config. */
export const alignedDataSchema = z.strictObject({
  names: z
    .record(z.string(), z.string())
    .optional()
    .describe("part of the model by the manifest's key or the folder that holds it, where they differ"),
  vocabulary: z
    .string()
    .optional()
    .describe(
      "file of WordPiece tokens, one a line, for methods that read words; learned from the texts when not given",
    ),
  tiles: z.int().positive().optional().describe("images are cut into as many by as many; 1 when not given"),
  augment: z
    .enum(["none", "flip"])
    .optional()
    .describe(
      "training view of images: a tile anywhere, mirrored either way (flip, when not given), or none",
    ),
  bands: z
    .enum(["as-is", "scene"])
    .optional()
    .describe(
      "bands of images as in their files (when not given), or cut and scaled to 0-1 over the whole image",
    ),
  stride: z
    .number()
    .min(1)
    .optional()
    .describe(
      "frames of a video from one frame of its clip to the next; 4 when not given, less in short videos",
    ),
  complete: z
    .boolean()
    .optional()
    .describe("leave out samples that lack a part; methods that train on pairs always do"),
});

export type AlignedData = z.output<typeof alignedDataSchema>;

type Shapes = Readonly<Record<string, readonly number[]>>;

/** The shape in which a method takes each part, channels last. */
function shapesOf(method: string, config: object): Shapes {
  switch (method) {
    case "croma": {
      const { imageSize, opticalBands, radarBands } = config as CromaConfig;
      return { optical: [...imageSize, opticalBands], radar: [...imageSize, radarBands] };
    }
    case "multi-mae": {
      const { imageSize, modalities } = config as MultiMaeConfig;
      return mapEntries(modalities, (channels) => [...imageSize, channels]);
    }
    case "hicmae": {
      const { video, audio } = config as HicmaeConfig;
      return { video: [...video.size, 3], audio: [...audio.size, 1] };
    }
    case "simvtp":
    case "smaug":
    case "smaug-answers":
    case "dual-encoder":
    case "caption-guided-mae":
      return { video: [...(config as Pick<SimvtpConfig, "video">).video.size, 3] };
    case "mind-eye": {
      const { voxels, tokens, tokenWidth } = config as MindEyeConfig;
      return { voxels: [voxels], embedding: [tokens, tokenWidth] };
    }
    case "mind-eye-low-level": {
      const { voxels, imageSize, channels } = config as LowLevelConfig;
      return { voxels: [voxels], picture: [...imageSize, channels] };
    }
    default: {
      const { modalities } = config as { readonly modalities?: ArrayModalities };
      if (modalities === undefined)
        throw new UnmaskError(`multimodal: ${method} does not say what it takes; give its config modalities`);
      return mapEntries(modalities, ({ size, channels }) => [...size, channels]);
    }
  }
}

/** Methods that train on samples with all of their parts. */
const PAIRED = ["croma", "hicmae", "mind-eye", "mind-eye-low-level"];

export function openAligned(
  source: Source,
  { method, config, data, classes }: OpenOptions,
): Dataset<AlignedSample> {
  expect(
    typeof source === "string",
    "multimodal: give one manifest (.jsonl) or one folder with a folder for each modality",
  );
  const { names, tiles, augment, bands, stride, complete } = alignedDataSchema.parse(data);
  return alignedSamples(source, {
    shapes: shapesOf(method.id, config),
    names,
    tiles,
    augment,
    bands,
    stride,
    complete: complete ?? PAIRED.includes(method.id),
    classes,
  });
}

/** All values of a sample side by side, zeros for what it lacks: what an encoder has to beat. [n * width] */
export function rawParts(samples: readonly AlignedSample[]): Float32Array {
  const lengths = new Map<string, number>();
  for (const { parts } of samples)
    for (const [name, { values }] of Object.entries(parts)) lengths.set(name, values.length);
  const width = [...lengths.values()].reduce((sum, length) => sum + length, 0);
  const rows = new Float32Array(samples.length * width);
  samples.forEach(({ parts }, i) => {
    let at = i * width;
    for (const [name, length] of lengths) {
      const part = parts[name];
      if (part !== undefined) rows.set(partValues(part), at);
      at += length;
    }
  });
  return rows;
}

const mapEntries = <T, U>(
  values: Readonly<Record<string, T>>,
  f: (value: T) => U,
): Readonly<Record<string, U>> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, f(value)]));
