/** What the images decide about a model: its size, patches and channels, and what it subtracts and divides by. */
import {
  BadSampleError,
  type Configured,
  type ConfigureRequest,
  type Dataset,
  expect,
  type Method,
  resolveConfig,
} from "@unmask/core";
import { z } from "zod";
import { sizeSchema } from "../batch.js";
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
  const { method, source, given } = request;
  const data = imageDataSchema.parse(request.data);
  const config: Record<string, unknown> = {};
  const notes: string[] = [];
  if (["imageSize", "patchSize", "channels"].some((key) => given[key] === undefined)) {
    const survey = await surveyImages(openAsIs(source, data), request.strict);
    if (given.channels === undefined) {
      config.channels = survey.channels;
      notes.push(`${survey.channels === 1 ? "gray images" : `${survey.channels} channels`}`);
    }
    const [imageSize, patchSize] = fitSizes(survey.size, pair(given.imageSize), pair(given.patchSize));
    if (given.imageSize === undefined) config.imageSize = imageSize;
    const size = `images of about ${times(survey.size)} pixels: imageSize ${times(imageSize)}`;
    if (takesPatches(method)) {
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

const takesPatches = ({ schema }: Method) => schema instanceof z.ZodObject && "patchSize" in schema.shape;

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
 * What is given stays.
 */
export function fitSizes(images: Pair, imageSize?: Pair, patchSize?: Pair): [Pair, Pair] {
  const shrink = Math.min(1, LARGEST_SIDE / Math.sqrt(images[0] * images[1]));
  const wanted = imageSize ?? ([images[0] * shrink, images[1] * shrink] as const);
  const nearest = (patch: Pair): Pair =>
    imageSize ?? [multiple(wanted[0], patch[0]), multiple(wanted[1], patch[1])];
  if (patchSize !== undefined) return [nearest(patchSize), patchSize];
  const divisors = imageSize && PATCHES_BELOW_17.filter((p) => imageSize.every((side) => side % p === 0));
  const candidates = (divisors ?? PATCH_SIDES).map((p): [Pair, Pair] => [nearest([p, p]), [p, p]]);
  const patches = ([[h, w], [p, q]]: [Pair, Pair]) => (h / p) * (w / q);
  return candidates.find((sizes) => patches(sizes) >= ENOUGH_PATCHES) ?? candidates.at(-1)!;
}

const PATCHES_BELOW_17 = Array.from({ length: 16 }, (_, i) => 16 - i);

/** The multiple of `step` nearest to `value`, at least three of them. */
const multiple = (value: number, step: number) => step * Math.max(3, Math.round(value / step));

const pair = (value: unknown): Pair | undefined =>
  value === undefined ? undefined : sizeSchema("").parse(value);

const times = ([a, b]: Pair) => `${a}x${b}`;

const fourDigits = (value: number) => Number(value.toPrecision(4));
