/** What the videos decide about a model: its size, clip length and cubes, and what it subtracts and divides by. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type Configured,
  type ConfigureRequest,
  expect,
  FormatError,
  resolveConfig,
  type Source,
  sizeSchema,
} from "@unmask/core";
import { frameCount, type VideoInfo } from "../read/clip.js";
import { videoInfo } from "../read/decode.js";
import { listVideos } from "../read/list-videos.js";
import { clipStatistics } from "../statistics.js";
import { openVideos, videoDataSchema } from "./data.js";

type Pair = readonly [number, number];

/** Videos whose size and length are looked at, spread over the data set. */
const SURVEYED = 32;

/** The side that published models see; larger frames are reduced to it. */
const LARGEST_SIDE = 224;
/** Of a frame: with fewer cells a tube mask of 0.9 leaves next to nothing to see. */
const ENOUGH_CELLS = 49;
const PATCH_SIDES = [16, 8, 4, 2];
/** Frames of published models' clips. */
const CLIP_FRAMES = 16;

export async function configureVideos(request: ConfigureRequest): Promise<Configured> {
  const { method, source, given } = request;
  const data = videoDataSchema.parse(request.data);
  const config: Record<string, unknown> = {};
  const notes: string[] = [];
  if (["imageSize", "patchSize", "frames"].some((key) => given[key] === undefined)) {
    const videos = await survey(source, request.strict);
    const side = median(videos.map(({ height, width }) => Math.min(height, width)));
    const [imageSize, patchSize] = fitSizes(side, pair(given.imageSize), pair(given.patchSize));
    const tubelet = typeof given.tubeletSize === "number" ? given.tubeletSize : 2;
    const frames =
      typeof given.frames === "number" ? given.frames : fitFrames(videos.map(frameCount), tubelet);
    if (given.imageSize === undefined) config.imageSize = imageSize;
    if (given.patchSize === undefined) config.patchSize = patchSize;
    if (given.frames === undefined) config.frames = frames;
    const cells = Math.floor(imageSize[0] / patchSize[0]) * Math.floor(imageSize[1] / patchSize[1]);
    const [seconds, rate] = [median(videos.map((v) => v.seconds)), median(videos.map((v) => v.rate))];
    notes.push(
      `videos of about ${side} pixels, ${seconds.toFixed(1)} s at ${rate.toFixed(0)} frames/s: ${frames} frames of ${imageSize.join("x")}, patchSize ${patchSize.join("x")}, ${Math.floor(frames / tubelet) * cells} cubes`,
    );
  }
  if (given.mean === undefined || given.std === undefined) {
    const settled = resolveConfig(method, { ...given, ...config });
    const single = { ...data, testClips: 1, testCrops: 1 };
    const measured = await clipStatistics(openVideos(source, { method, config: settled, data: single }));
    const mean = measured.mean.map(fourDigits);
    const std = measured.std.map((value) => fourDigits(value) || 1);
    if (given.mean === undefined) config.mean = mean;
    if (given.std === undefined) config.std = std;
    notes.push(`mean ${mean.join(" ")}, deviation ${std.join(" ")} over ${measured.clips} clips`);
  }
  return { config, notes };
}

async function survey(source: Source, strict = false): Promise<VideoInfo[]> {
  const files = sourcesOf(source);
  const count = Math.min(SURVEYED, files.length);
  const infos: VideoInfo[] = [];
  let reason = "";
  for (let i = 0; i < count; i++)
    try {
      infos.push(await videoInfo(files[Math.floor((i * files.length) / count)]!));
    } catch (error) {
      if (strict || !(error instanceof FormatError)) throw error;
      reason = error.message;
    }
  expect(
    infos.length > 0,
    () => `videos: none of ${count} videos of ${source} can be read; the last ${reason}`,
  );
  return infos;
}

function sourcesOf(source: Source): readonly (string | readonly string[])[] {
  if (typeof source !== "string") return source;
  expect(existsSync(source), `videos: there is no ${source}; give a folder of videos or a video`);
  if (!statSync(source).isDirectory()) return [source];
  return listVideos(source).videos.map(({ path, frames }) => {
    const full = join(source, path);
    return frames?.map((name) => join(full, name)) ?? full;
  });
}

/** Sixteen frames, or as many as nine of ten videos have, in whole cubes. */
export function fitFrames(counts: readonly number[], tubelet: number): number {
  const enough = [...counts].sort((a, b) => a - b)[Math.floor(counts.length / 10)]!;
  return Math.max(tubelet, Math.floor(Math.min(CLIP_FRAMES, enough) / tubelet) * tubelet);
}

/** A square near the videos' shorter side and patches that divide it: 16 pixels, or less where that would leave few. */
export function fitSizes(side: number, imageSize?: Pair, patchSize?: Pair): [Pair, Pair] {
  const wanted = Math.min(LARGEST_SIDE, side);
  const multiple = (step: number) => step * Math.max(3, Math.round(wanted / step));
  const nearest = ([down, across]: Pair): Pair => imageSize ?? [multiple(down), multiple(across)];
  if (patchSize !== undefined) return [nearest(patchSize), patchSize];
  const sides =
    imageSize === undefined
      ? PATCH_SIDES
      : Array.from({ length: 16 }, (_, i) => 16 - i).filter((p) => imageSize.every((s) => s % p === 0));
  const candidates = sides.map((p): [Pair, Pair] => [nearest([p, p]), [p, p]]);
  const cells = ([[h, w], [p, q]]: [Pair, Pair]) => (h / p) * (w / q);
  return candidates.find((sizes) => cells(sizes) >= ENOUGH_CELLS) ?? candidates.at(-1)!;
}

const pair = (value: unknown): Pair | undefined =>
  value === undefined ? undefined : sizeSchema("").parse(value);

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

const fourDigits = (value: number) => Number(value.toPrecision(4));
