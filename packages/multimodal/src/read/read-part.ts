/** Files of every kind as arrays: each kind by the package of its modality. */
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { BadSampleError, createRandom, parseNpy, type Random, toFloat32 } from "@unmask/core";
import { z } from "zod";
import type { ArrayPart } from "../sample.js";
import type { PartSource } from "./listing.js";
import { peer } from "./peers.js";

export type PartKind = "image" | "audio" | "video" | "points" | "array";

const EXTENSIONS: Readonly<Record<Exclude<PartKind, "array">, readonly string[]>> = {
  image: [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif", ".gif"],
  audio: [".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aiff", ".aif"],
  video: [".mp4", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".mkv"],
  points: [".ply", ".obj", ".off", ".pcd", ".las", ".laz", ".xyz", ".pts"],
};

/**
 * What a file is read as. A video is read for its sound where an array of [frames, bands, 1] is wanted, and a numpy array
 * as an image where one is wanted.
 */
export function kindOf(file: string, shape?: readonly number[]): PartKind {
  const extension = extname(file).toLowerCase();
  const kinds = Object.keys(EXTENSIONS) as (keyof typeof EXTENSIONS)[];
  const kind = kinds.find((one) => EXTENSIONS[one].includes(extension));
  if (kind === "video" && shape?.length === 3) return "audio";
  if (kind !== undefined) return kind;
  if (extension === ".npy") return "array";
  throw new BadSampleError(
    file,
    `no kind of file that is read; use ${Object.values(EXTENSIONS).flat().join(" ")} or .npy`,
  );
}

interface ClipReading {
  /** Frames of the video from one frame of the clip to the next. */
  readonly stride?: number;
}

/** Images as they are in their files; everything else in the shape wanted. */
export async function readPart(
  source: Exclude<PartSource, { readonly text: string }>,
  shape: readonly number[],
  random?: Random,
  clip: ClipReading = {},
): Promise<ArrayPart> {
  if ("values" in source) return { values: Float32Array.from(source.values), shape: source.shape };
  const { file } = source;
  switch (kindOf(file, shape)) {
    case "image":
      return readImage(file, shape.at(-1)!);
    case "audio":
      return readSound(file, shape);
    case "video":
      return readClip(file, shape, clip, random);
    case "points":
      return readPoints(file, shape, random);
    case "array":
      return readArray(file);
  }
}

/** [H, W, C]; files of many bands come with all of them. */
export async function readImage(file: string, channels: number | "auto"): Promise<ArrayPart> {
  const { imageFiles } = await peer("image", file);
  const converted = channels === 1 || channels === 3 ? channels : "auto";
  const {
    pixels,
    height,
    width,
    channels: read,
  } = await imageFiles([file], {
    channels: converted,
    augment: "none",
    cache: 0,
  }).get(0);
  if (channels !== "auto" && read !== channels)
    throw new BadSampleError(file, `it has ${read} bands, the model takes ${channels}`);
  return { values: pixels, shape: [height, width, read] };
}

/** [frames, bands, 1]: log-mel energies as AudioMAE takes them, less AudioSet's mean over two of its deviations. */
async function readSound(file: string, [frames = 1, bands = 1]: readonly number[]): Promise<ArrayPart> {
  const audio = await peer("audio", file);
  const { mean, std, ...form } = z.object(audio.audioInputShape).parse({ inputSize: [frames, bands] });
  const { channels, sampleRate } = await audio.readAudio(file);
  const mono = channels[0]!.map((_, i) => channels.reduce((sum, one) => sum + one[i]!, 0) / channels.length);
  const sound = sampleRate === form.sampleRate ? mono : audio.resample(mono, sampleRate, form.sampleRate);
  const { values } = audio.spectrogramSample([sound], form);
  return { values: values.map((value) => (value - mean) / (2 * std)), shape: [frames, bands, 1] };
}

/** [frames, H, W, C]: one clip, the middle one without draws. */
async function readClip(
  file: string,
  shape: readonly number[],
  { stride }: ClipReading,
  random?: Random,
): Promise<ArrayPart> {
  const { videoFiles } = await peer("video", file);
  const [frames = 1, height = 1, width = 1, channels = 3] = shape;
  const options = {
    frames,
    size: [height, width] as const,
    channels,
    stride,
    short: "loop",
    augment: "none",
  } as const;
  const { pixels } = await videoFiles([file], options).get(0, random);
  return { values: pixels, shape };
}

/** [points, 3] in the unit ball. */
async function readPoints(
  file: string,
  shape: readonly number[],
  random = createRandom(0),
): Promise<ArrayPart> {
  const { readCloud, samplePoints } = await peer("pointcloud", file);
  const cloud = await readCloud(new Uint8Array(await readFile(file)), extname(file));
  const points = samplePoints(cloud, shape[0]!, random);
  const radius = Math.sqrt(
    points.reduce((far, _, i) => (i % 3 ? far : Math.max(far, squared(points, i))), 0),
  );
  return { values: points.map((x) => x / (radius || 1)), shape: [shape[0]!, 3] };
}

const squared = (xyz: Float32Array, at: number) => xyz[at]! ** 2 + xyz[at + 1]! ** 2 + xyz[at + 2]! ** 2;

/** Bytes and 16-bit integers stay what they are, for methods that read intensities. */
async function readArray(file: string): Promise<ArrayPart> {
  const array = parseNpy(new Uint8Array(await readFile(file)));
  return { values: array.dtype === "U8" ? array.bytes : toFloat32(array), shape: array.shape };
}
