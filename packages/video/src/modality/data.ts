/** Video data sets by path, as the command line names them. */
import { statSync } from "node:fs";
import { extname } from "node:path";
import { type Dataset, expect, type OpenOptions, type Source, UnmaskError, whiteOf } from "@unmask/core";
import { z } from "zod";
import { type CubeConfig, count, cubeGrid, type VideoInput } from "../batch.js";
import { textGuidedVideoMae } from "../methods/text-guided-video-mae.js";
import { VIDEO_EXTENSIONS } from "../read/list-videos.js";
import { guidedVideoFolder, videoFiles, videoFolder } from "../read/video-folder.js";
import type { VideoSample } from "../sample.js";

/** The `data` section of a config. */
export const videoDataSchema = z.strictObject({
  stride: z
    .number()
    .min(1)
    .optional()
    .describe(
      "frames of the video from one frame of the clip to the next; 4 when not given, less in short videos",
    ),
  rate: z.number().positive().optional().describe("frames of the clip a second, in place of stride"),
  short: z
    .enum(["skip", "loop"])
    .optional()
    .describe("videos with fewer frames than a clip: skip, when not given, or begin again"),
  clipsPerVideo: count
    .optional()
    .describe("samples that each video gives, of as many equal parts; 1 when not given"),
  augment: z
    .enum(["none", "crop", "crop-flip"])
    .optional()
    .describe("training view, the same for all frames of a clip; crop when not given"),
  testClips: count.optional().describe("clips of the evaluation view, averaged; 1 when not given"),
  testCrops: count
    .optional()
    .describe("crops of the evaluation view along the longer side, averaged; 1 when not given"),
  workers: z
    .int()
    .min(0)
    .optional()
    .describe("threads that decode, 0 for none; one fewer than processors, at most 4"),
});

/** A folder of videos (or of folders of frames), or single videos. */
export function openVideos(
  source: Source,
  { method, config, data, classes }: OpenOptions,
): Dataset<VideoSample> {
  const input = config as VideoInput & CubeConfig;
  const { frames, imageSize: size, channels } = input;
  const options = { ...videoDataSchema.parse(data), frames, size, channels };
  if (typeof source !== "string") return videoFiles(source, options);
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new UnmaskError(`videos: there is no ${source}; give a folder of videos or a video`);
  if (!stats.isDirectory()) {
    expect(
      VIDEO_EXTENSIONS.has(extname(source).toLowerCase()),
      `videos: ${source} is no video; expected ${[...VIDEO_EXTENSIONS].join(" ")}`,
    );
    return videoFiles([source], options);
  }
  const folder = videoFolder(source, { ...options, classes });
  if (method.id !== textGuidedVideoMae.id || !folder.ignored.has(".npz")) return folder;
  const [, rows, columns] = cubeGrid(method.id, input);
  return guidedVideoFolder(source, { ...options, classes, grid: [rows, columns] });
}

/** Cells that raw frames are averaged over, in each direction: a clip's pixels are too many to search among. */
const RAW_CELLS = 16;

/** Pixels of all frames and views, white being 1, averaged over a grid of at most 16 x 16 cells. [n * width] */
export function rawPixels(samples: readonly VideoSample[]): Float32Array {
  return Float32Array.from(samples.flatMap((sample) => Array.from(reducedPixels(sample))));
}

function reducedPixels({ pixels, height, width, channels }: VideoSample): Float32Array {
  const [rows, columns] = [Math.min(RAW_CELLS, height), Math.min(RAW_CELLS, width)];
  const pictures = pixels.length / (height * width * channels);
  const sums = new Float32Array(pictures * rows * columns * channels);
  const counts = new Float32Array(rows * columns);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const cell = Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width);
      counts[cell]!++;
      for (let p = 0; p < pictures; p++)
        for (let c = 0; c < channels; c++)
          sums[(p * rows * columns + cell) * channels + c]! +=
            pixels[((p * height + y) * width + x) * channels + c]!;
    }
  const white = whiteOf(pixels);
  return sums.map((sum, i) => sum / (counts[Math.floor(i / channels) % (rows * columns)]! * white));
}
