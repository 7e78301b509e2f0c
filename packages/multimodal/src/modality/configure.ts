/** What the samples decide about a model: sizes, channels, modalities. */
import { readFile } from "node:fs/promises";
import {
  type Configured,
  type ConfigureRequest,
  expect,
  type Keys,
  type Source,
  type Teachers,
} from "@unmask/core";
import type { ArrayModality } from "../array-modality.js";
import { mapModalities } from "../by-modality.js";
import type { DualEncoderConfig } from "../methods/dual-encoder.js";
import { type ListedSample, listSamples, type PartSource } from "../read/listing.js";
import { kindOf, readImage, readPart } from "../read/read-part.js";
import { learnVocabulary } from "../text/word-piece.js";
import { type AlignedData, alignedDataSchema } from "./data.js";

/** Larger images are reduced to this side; so are frames of videos to half of it. */
const LARGEST_SIDE = 224;
const PATCH_SIDES = [16, 8, 4, 2];
/** Frames of a clip, and mel bands of sound. */
const CLIP = 8;
const BANDS = 128;

export async function configureAligned({
  method,
  source,
  data,
  given,
  teachers,
}: ConfigureRequest): Promise<Configured> {
  const options = alignedDataSchema.parse(data);
  const samples = listSamples(pathOf(source), options.names);
  switch (method.id) {
    case "croma":
      return configureCroma(samples, options, given);
    case "multi-mae":
      return configureMultiMae(samples, options, given);
    case "mind-eye":
      return configureMindEye(samples, given);
    case "mind-eye-low-level":
      return { config: await voxelsOf(samples, given), notes: [] };
    case "hicmae":
      return configureClips(given);
    case "simvtp":
      return configureCaptions(method.id, samples, options, given, SMALL_CLIP);
    case "smaug":
    case "smaug-answers":
      return configureCaptions(method.id, samples, options, given, framesOf(4));
    case "dual-encoder":
      return configureCaptions(method.id, samples, options, given, framesOf(CLIP));
    case "caption-guided-mae":
      return configureGuided(given, teachers);
    case "mavil":
    case "mavil-features":
    case "pairwise-contrast":
      return withoutRatios(await configureArrays(samples, given));
    default:
      return configureArrays(samples, given);
  }
}

async function configureCroma(
  samples: readonly ListedSample[],
  data: AlignedData,
  given: Keys,
): Promise<Configured> {
  const [optical, radar] = await Promise.all(["optical", "radar"].map((name) => imageShape(samples, name)));
  const config: Record<string, unknown> = {};
  if (given.opticalBands === undefined) config.opticalBands = optical![2];
  if (given.radarBands === undefined) config.radarBands = radar![2];
  const patch = typeof given.patchSize === "number" ? given.patchSize : 8;
  if (given.imageSize === undefined) config.imageSize = sizeFor(optical!, data, patch, 120);
  const side = (config.imageSize ?? given.imageSize) as number | readonly number[];
  return {
    config,
    notes: [
      `${optical![2]} optical and ${radar![2]} radar bands, images of ${[side].flat().join("x")} pixels`,
    ],
  };
}

async function configureMultiMae(
  samples: readonly ListedSample[],
  data: AlignedData,
  given: Keys,
): Promise<Configured> {
  const config: Record<string, unknown> = {};
  const notes: string[] = [];
  let names = Object.keys((given.modalities as object | undefined) ?? {});
  if (given.modalities === undefined) {
    const found = new Set(samples.flatMap(({ parts }) => imageParts(parts)));
    expect(found.size > 0, "multi-mae: no sample has an image; give files of images in every line");
    const modalities: Record<string, number> = {};
    for (const name of found) modalities[name] = (await imageShape(samples, name))[2];
    if (found.size === 1 && modalities.rgb === 3) Object.assign(modalities, { haematoxylin: 1, eosin: 1 });
    config.modalities = modalities;
    names = Object.keys(modalities);
    notes.push(
      `modalities ${Object.entries(modalities)
        .map(([name, bands]) => `${name} (${bands})`)
        .join(", ")}`,
    );
  }
  if (given.outputs === undefined)
    config.outputs = [...names, ...(names.includes("rgb") ? ["norm_rgb"] : [])];
  if (given.concentrations === undefined && names.includes("haematoxylin"))
    config.concentrations = names.map((name) => (name === "rgb" ? 8 : 1));
  const first = names.find((name) => samples.some(({ parts }) => parts[name]))!;
  const shape = await imageShape(samples, first);
  const whole = sizeFor(shape, data, 1, LARGEST_SIDE);
  const side = Math.min(...whole);
  const patch = PATCH_SIDES.find((p) => (side / p) ** 2 >= 49) ?? 2;
  if (given.patchSize === undefined) config.patchSize = patch;
  const given_ = Number([given.patchSize ?? patch].flat()[0]);
  if (given.imageSize === undefined) config.imageSize = sizeFor(shape, data, given_, LARGEST_SIDE);
  return { config, notes };
}

/** The size of a vector. */
async function voxelsOf(samples: readonly ListedSample[], given: Keys): Promise<{ voxels?: number }> {
  if (given.voxels !== undefined) return {};
  const shape = await shapeOf(samples, "voxels");
  expect(
    shape !== undefined,
    "multimodal: no sample has voxels; give a vector or an .npy file under that name",
  );
  return { voxels: shape[0]! };
}

/** Tokens and width of what belongs to a vector, beside the vector's size. */
async function configureMindEye(samples: readonly ListedSample[], given: Keys): Promise<Configured> {
  const embedding = await shapeOf(samples, "embedding");
  const [tokens, width] =
    embedding === undefined ? [1, 64] : embedding.length === 1 ? [1, embedding[0]!] : embedding;
  const config: Record<string, unknown> = await voxelsOf(samples, given);
  if (embedding !== undefined || given.tokens === undefined) config.tokens = tokens;
  if (embedding !== undefined || given.tokenWidth === undefined) config.tokenWidth = width;
  return {
    config,
    notes: [embedding === undefined ? "an embedding for each label" : `embeddings of ${tokens} x ${width}`],
  };
}

async function shapeOf(
  samples: readonly ListedSample[],
  name: string,
): Promise<readonly number[] | undefined> {
  const part = samples.find(({ parts }) => parts[name])?.parts[name];
  return part === undefined || "text" in part ? undefined : (await readPart(part, [1])).shape;
}

/** Clips for methods that take frames one by one. */
const framesOf = (frames: number) => ({
  size: [frames, LARGEST_SIDE / 2, LARGEST_SIDE / 2],
  patch: [16, 16],
});

/** Clips as the guide takes them, and vectors as wide as its. */
function configureGuided(given: Keys, { guide }: Teachers = {}): Configured {
  const { video, projection } = (guide?.config ?? {}) as Partial<DualEncoderConfig>;
  const config: Record<string, unknown> = {};
  if (given.video === undefined && video !== undefined)
    config.video = { size: video.size, patch: [video.size[0] % 2 === 0 ? 2 : 1, ...video.patch] };
  if (given.textWidth === undefined && projection !== undefined) config.textWidth = projection;
  return { config, notes: video === undefined ? [] : [`clips of ${video.size.join("x")}, as the guide's`] };
}

const SMALL_CLIP = { size: [CLIP, LARGEST_SIDE / 2, LARGEST_SIDE / 2], patch: [2, 16, 16] };

function configureClips(given: Keys): Configured {
  const config: Record<string, unknown> = {};
  if (given.video === undefined) config.video = SMALL_CLIP;
  if (given.audio === undefined) config.audio = { size: [BANDS, BANDS], patch: [16, 16] };
  return { config, notes: [`clips of ${SMALL_CLIP.size.join("x")}, spectrograms of ${BANDS} bands`] };
}

async function configureCaptions(
  method: string,
  samples: readonly ListedSample[],
  { vocabulary }: AlignedData,
  given: Keys,
  clip: object,
): Promise<Configured> {
  const config: Record<string, unknown> = {};
  if (given.video === undefined) config.video = clip;
  if (given.vocabulary !== undefined) return { config, notes: [] };
  const texts = samples.flatMap(({ parts }) =>
    Object.values(parts).flatMap((part) => ("text" in part ? [part.text] : [])),
  );
  expect(texts.length > 0, `${method}: no sample has a text; give {"text": "..."} under the name text`);
  const words =
    vocabulary === undefined
      ? learnVocabulary(texts)
      : (await readFile(vocabulary, "utf8")).split(/\r?\n/).filter((word) => word !== "");
  config.vocabulary = words;
  return {
    config,
    notes: [
      `${words.length} words ${vocabulary === undefined ? `learned from ${texts.length} texts` : `of ${vocabulary}`}`,
    ],
  };
}

/** An array for each modality, by what its first file is. */
async function configureArrays(samples: readonly ListedSample[], given: Keys): Promise<Configured> {
  if (given.modalities !== undefined) return { config: {}, notes: [] };
  const modalities: Record<string, Omit<ArrayModality, "weight">> = {};
  for (const { parts } of samples)
    for (const [name, part] of Object.entries(parts))
      if (modalities[name] === undefined && !("text" in part)) modalities[name] = await arrayOf(name, part);
  return {
    config: { modalities },
    notes: Object.entries(modalities).map(
      ([name, { size, patch, channels }]) =>
        `${name}: ${size.join("x")} of ${channels} channels, patches of ${patch.join("x")}`,
    ),
  };
}

/** For methods that have a ratio of their own, or hide nothing. */
function withoutRatios({ config, notes }: Configured): Configured {
  const { modalities } = config as { readonly modalities?: Readonly<Record<string, ArrayModality>> };
  if (modalities === undefined) return { config, notes };
  const own = mapModalities(modalities, ({ maskRatio, ...modality }) => modality);
  return { config: { ...config, modalities: own }, notes };
}

async function arrayOf(
  name: string,
  part: Exclude<PartSource, { readonly text: string }>,
): Promise<Omit<ArrayModality, "weight">> {
  const kind = "file" in part ? kindOf(part.file, name === "audio" ? [1, 1, 1] : undefined) : "array";
  switch (kind) {
    case "image": {
      const { shape } = await readImage((part as { readonly file: string }).file, "auto");
      const side = multiple(Math.min(LARGEST_SIDE, shape[0]!, shape[1]!), 8);
      return { size: [side, side], patch: [side / 8, side / 8], channels: shape[2]!, maskRatio: 0.75 };
    }
    case "audio":
      return { size: [128, BANDS], patch: [16, 16], channels: 1, maskRatio: 0.7 };
    case "video":
      return {
        size: [CLIP, LARGEST_SIDE / 2, LARGEST_SIDE / 2],
        patch: [2, 16, 16],
        channels: 3,
        maskRatio: 0.9,
      };
    case "points":
      return { size: [1024], patch: [32], channels: 3, maskRatio: 0.6 };
    case "array": {
      const { shape } = await readPart(part, [1]);
      if (shape.length === 1)
        return { size: [...shape], patch: [divisor(shape[0]!)], channels: 1, maskRatio: 0.75 };
      const size = shape.slice(0, -1);
      return { size, patch: size.map(divisor), channels: shape.at(-1)!, maskRatio: 0.75 };
    }
  }
}

const pathOf = (source: Source) => {
  expect(typeof source === "string", "multimodal: give one manifest or one folder");
  return source;
};

const imageParts = (parts: ListedSample["parts"]) =>
  Object.entries(parts).flatMap(([name, part]) =>
    "file" in part && ["image", "array"].includes(kindOf(part.file)) ? [name] : [],
  );

async function imageShape(samples: readonly ListedSample[], name: string): Promise<[number, number, number]> {
  const part = samples.find(({ parts }) => parts[name])?.parts[name];
  expect(
    part !== undefined && "file" in part,
    () =>
      `multimodal: no sample has an image ${name}, but ${Object.keys(samples[0]?.parts ?? {}).join(", ")}; say where it is by data.names, for example --set names.${name}=${Object.keys(samples[0]?.parts ?? {})[0]}`,
  );
  const { shape } = await readImage(part.file, "auto");
  return [shape[0]!, shape[1]!, shape[2] === 4 ? 3 : shape[2]!];
}

/** The size of a tile, at most `largest`, as a multiple of the patch. */
function sizeFor(
  [height, width]: readonly number[],
  { tiles = 1 }: AlignedData,
  patch: number,
  largest: number,
) {
  const shrink = Math.min(1, (largest * tiles) / Math.max(height!, width!));
  return [height!, width!].map((side) => multiple((side / tiles) * shrink, patch)) as [number, number];
}

const multiple = (value: number, step: number) => step * Math.max(2, Math.floor(value / step));

/** The divisor of n that cuts it into at least eight pieces, or n's smallest piece. */
function divisor(n: number): number {
  for (let d = Math.floor(n / 8); d > 1; d--) if (n % d === 0) return d;
  return 1;
}
