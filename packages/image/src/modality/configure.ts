/** What the images decide about a model: its size, patches and channels, and what it subtracts and divides by. */
import {
  BadSampleError,
  type Configured,
  type ConfigureRequest,
  type Dataset,
  expect,
  type Keys,
  type Method,
  type Model,
  resolveConfig,
  sizeSchema,
} from "@unmask/core";
import { z } from "zod";
import type { ImageInput } from "../batch.js";
import { convMae } from "../methods/conv-mae.js";
import { type SparkConfig, spark } from "../methods/spark.js";
import { convEncoderStride } from "../nn/conv-encoder.js";
import type { ImageFolder } from "../read/image-folder.js";
import type { ImageSample } from "../sample.js";
import { type PixelStatistics, pixelStatistics } from "../statistics.js";
import { folderStatistics } from "../statistics-cache.js";
import { imageDataSchema, openAsIs, openImages } from "./data.js";

type Pair = readonly [number, number];

/** Images whose size and channels are looked at, spread over the data set. */
const SURVEYED = 64;
/** Images that mean and deviation are measured on, spread over the data set. */
const MEASURED = 20_000;

/** The side that published models see; larger images are reduced to it. */
const LARGEST_SIDE = 224;
/** With 49 patches a mask ratio of 0.75 leaves a dozen to see. */
const ENOUGH_PATCHES = 49;
const PATCH_SIDES = [16, 8, 4, 2];

export async function configureImages(request: ConfigureRequest): Promise<Configured> {
  const { method, source } = request;
  const data = imageDataSchema.parse(request.data);
  const { config, notes } = fitTeachers(request);
  const given: Keys = { ...request.given, ...config };
  if (["imageSize", "patchSize", "channels"].some((key) => given[key] === undefined)) {
    const survey = await surveyImages(openAsIs(source, data), request.strict);
    if (given.channels === undefined) {
      config.channels = survey.channels;
      notes.push(`${survey.channels === 1 ? "gray images" : `${survey.channels} channels`}`);
    }
    const [imageSize, patchSize] = fitSizes(
      survey.size,
      pair(given.imageSize),
      givenPatch(method, given),
      patchStep(method, given),
    );
    if (given.imageSize === undefined) config.imageSize = imageSize;
    const size = `images of about ${times(survey.size)} pixels: imageSize ${times(imageSize)}`;
    if (takes(method, "patchSize")) {
      if (given.patchSize === undefined) config.patchSize = patchSize;
      const tokens = (imageSize[0] / patchSize[0]) * (imageSize[1] / patchSize[1]);
      notes.push(`${size}, patchSize ${times(patchSize)}, ${Math.floor(tokens)} patches`);
    } else notes.push(size);
  }
  if (given.mean === undefined || given.std === undefined) {
    const settled = resolveConfig(method, { ...given, ...config });
    const measured = await measure(openImages(source, { method, config: settled, data }));
    const mean = measured.mean.map(fourDigits);
    const std = measured.std.map((value) => fourDigits(value) || 1);
    if (given.mean === undefined) config.mean = mean;
    if (given.std === undefined) config.std = std;
    notes.push(`mean ${mean.join(" ")}, deviation ${std.join(" ")} over ${measured.images} images`);
  }
  return { config, notes };
}

const takes = ({ schema }: Method, key: string) => schema instanceof z.ZodObject && key in schema.shape;

/** What the sides of patches have to be a multiple of. */
const patchStep = ({ id }: Method, { encoder }: Keys) => (id === convMae.id || encoder === "conv" ? 4 : 1);

/** Patches that are given, or what stands for them where a method takes none. */
function givenPatch({ id }: Method, given: Keys): Pair | undefined {
  if (id !== spark.id) return pair(given.patchSize);
  const stride = convEncoderStride(resolveConfig(spark, given as Partial<SparkConfig>));
  return [stride, stride];
}

/** Keys that a method's teachers decide where they are not given: the grid, and the widths of their features. */
function fitTeachers({ method, given, teachers = {} }: ConfigureRequest) {
  const config: Record<string, unknown> = {};
  const notes: string[] = [];
  for (const [role, teacher] of Object.entries(teachers)) {
    const own = teacher.config as Partial<ImageInput> & Keys;
    for (const key of ["imageSize", "patchSize", "channels"])
      if (takes(method, key) && given[key] === undefined && own[key] !== undefined) config[key] ??= own[key];
    const key = `${role}Width`;
    if (!takes(method, key) || given[key] !== undefined) continue;
    config[key] = featureWidth(teacher);
    notes.push(`${role} teacher ${teacher.method.id}: ${key} ${config[key]}`);
  }
  return { config, notes };
}

/** Width of a model's features of a patch, as it says of a black picture. */
function featureWidth(teacher: Model): number {
  const { imageSize, channels } = teacher.config as ImageInput;
  const [height, width] = imageSize;
  const pixels = new Uint8Array(height * width * channels);
  const features = teacher.encode([{ pixels, height, width, channels }], { pool: "tokens" });
  features.dispose();
  return features.shape.at(-1)!;
}

/** Folders are measured once; the measurement is kept until a file changes. */
function measure(dataset: Dataset<ImageSample> | ImageFolder): Promise<PixelStatistics> {
  const options = { limit: Math.min(MEASURED, dataset.length) };
  return "fingerprint" in dataset ? folderStatistics(dataset, options) : pixelStatistics(dataset, options);
}

interface Survey {
  /** [height, width] that all images have, or a square of their median shorter side. */
  readonly size: Pair;
  readonly channels: number;
}

async function surveyImages(dataset: Dataset<ImageSample>, strict = false): Promise<Survey> {
  const count = Math.min(SURVEYED, dataset.length);
  const images: ImageSample[] = [];
  let reason = "it is empty";
  for (let i = 0; i < count; i++)
    try {
      images.push(await dataset.get(Math.floor((i * dataset.length) / count)));
    } catch (error) {
      if (strict || !(error instanceof BadSampleError)) throw error;
      reason = error.message;
    }
  const [first] = images;
  expect(
    first !== undefined,
    () => `images: none of ${count} images of ${dataset.name} can be read: ${reason}`,
  );
  const { height, width } = first;
  const alike = images.every((image) => image.height === height && image.width === width);
  const sides = images.map((image) => Math.min(image.height, image.width)).sort((a, b) => a - b);
  const side = sides[sides.length >> 1]!;
  const bands = [...new Set(images.map(({ channels }) => channels))];
  const gray = bands.every((channels) => channels <= 2); // the second is opacity
  return {
    size: alike ? [height, width] : [side, side],
    channels: gray ? 1 : bands.length === 1 && bands[0]! > 4 ? bands[0]! : 3,
  };
}

/**
 * A size near that of the images and patches that divide it: 16 pixels, or less where that would leave fewer than 49.
 * What is given stays. @param step what patches have to be a multiple of
 */
export function fitSizes(images: Pair, imageSize?: Pair, patchSize?: Pair, step = 1): [Pair, Pair] {
  const shrink = Math.min(1, LARGEST_SIDE / Math.sqrt(images[0] * images[1]));
  const wanted = imageSize ?? ([images[0] * shrink, images[1] * shrink] as const);
  const nearest = (patch: Pair): Pair =>
    imageSize ?? [multiple(wanted[0], patch[0]), multiple(wanted[1], patch[1])];
  if (patchSize !== undefined) return [nearest(patchSize), patchSize];
  const usable = (p: number) => p % step === 0;
  const divisors = imageSize && PATCHES_BELOW_17.filter((p) => imageSize.every((side) => side % p === 0));
  const candidates = (divisors ?? PATCH_SIDES)
    .filter(usable)
    .map((p): [Pair, Pair] => [nearest([p, p]), [p, p]]);
  const patches = ([[h, w], [p, q]]: [Pair, Pair]) => (h / p) * (w / q);
  const few: [Pair, Pair] = candidates.at(-1) ?? [nearest([step, step]), [step, step]];
  return candidates.find((sizes) => patches(sizes) >= ENOUGH_PATCHES) ?? few;
}

const PATCHES_BELOW_17 = Array.from({ length: 16 }, (_, i) => 16 - i);

/** The multiple of `step` nearest to `value`, at least three of them. */
const multiple = (value: number, step: number) => step * Math.max(3, Math.round(value / step));

const pair = (value: unknown): Pair | undefined =>
  value === undefined ? undefined : sizeSchema("").parse(value);

const times = ([a, b]: Pair) => `${a}x${b}`;

const fourDigits = (value: number) => Number(value.toPrecision(4));
