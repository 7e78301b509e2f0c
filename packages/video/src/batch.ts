/** From decoded clips to the tensors of a step. */
import * as tf from "@tensorflow/tfjs";
import {
  channelStatistics,
  expect,
  normalisePixels,
  type PixelInput,
  patchGrid,
  pixelInputShape,
  sizeSchema,
} from "@unmask/core";
import { z } from "zod";
import type { VideoSample } from "./sample.js";

/** What every video method's config says about its input. */
export interface VideoInput extends PixelInput {
  /** Frames of a clip. */
  readonly frames: number;
  /** [height, width] in pixels. */
  readonly imageSize: readonly [number, number];
}

/** How clips are cut into cubes of neighbouring frames and pixels, one token each. */
export interface CubeConfig {
  /** Frames of a cube. */
  readonly tubeletSize: number;
  /** [height, width] of a cube in pixels. */
  readonly patchSize: readonly [number, number];
}

export const count = z.int().positive();

/** The schema keys of `VideoInput` and `CubeConfig`, those of the VideoMAE family by default. */
export const videoInputShape = {
  frames: count.default(16).describe("frames of a clip"),
  imageSize: sizeSchema("height and width of the frames in pixels").default([224, 224]),
  channels: count.default(3).describe("channels of the frames"),
  ...pixelInputShape,
  tubeletSize: count.default(2).describe("frames of a cube"),
  patchSize: sizeSchema("height and width of a cube in pixels").default([16, 16]),
};

/** Views of each sample; every sample of a batch must have as many. */
export function viewsOf(samples: readonly VideoSample[]): number {
  const views = samples[0]?.views ?? 1;
  expect(
    samples.every((sample) => (sample.views ?? 1) === views),
    "video batch: samples have different numbers of views; give the reader one number of test clips and crops",
  );
  return views;
}

/**
 * Clips as one normalised tensor, (value / white - mean) / std; the views of a sample are neighbours.
 * @returns [B * views, frames, H, W, C]
 */
export function videoTensor(config: VideoInput, samples: readonly VideoSample[]): tf.Tensor5D {
  const { frames, channels } = config;
  const [height, width] = config.imageSize;
  const statistics = channelStatistics(config);
  const views = viewsOf(samples);
  const size = views * frames * height * width * channels;
  const values = new Float32Array(samples.length * size);
  samples.forEach(({ pixels, ...sample }, index) => {
    expect(
      sample.frames === frames &&
        sample.height === height &&
        sample.width === width &&
        sample.channels === channels &&
        pixels.length === size,
      () =>
        `video batch: expected clips of ${frames} frames, ${height}x${width} pixels, ${channels} channels, got ${sample.frames} frames, ${sample.height}x${sample.width}, ${sample.channels}; give the reader the clip length, size and channels of the model`,
    );
    normalisePixels(pixels, statistics, values, index * size);
  });
  return tf.tensor5d(values, [samples.length * views, frames, height, width, channels]);
}

/** As {@link videoTensor}, for training, which sees one view of each sample. [B, frames, H, W, C] */
export function trainingTensor(config: VideoInput, samples: readonly VideoSample[]): tf.Tensor5D {
  const views = viewsOf(samples);
  expect(views === 1, `video batch: training sees one view of a clip, got ${views}; leave out testViews`);
  return videoTensor(config, samples);
}

/** The mean over the views of each sample: [B * views, ...] -> [B, ...] */
export function meanOverViews(x: tf.Tensor, views: number): tf.Tensor {
  if (views === 1) return x;
  return tf.mean(x.reshape([x.shape[0]! / views, views, ...x.shape.slice(1)]), 1);
}

/** Cubes along [time, rows, columns]. */
export function cubeGrid(
  method: string,
  { frames, imageSize, tubeletSize, patchSize }: Pick<VideoInput, "frames" | "imageSize"> & CubeConfig,
): [number, number, number] {
  const [clip, cube] = [[frames, ...imageSize], cubeOf({ tubeletSize, patchSize })];
  expect(
    clip.every((extent, axis) => extent % cube[axis]! === 0),
    `${method}: clips of ${clip.join("x")} are not a multiple of cubes of ${cube.join("x")} (frames x height x width); choose sizes that divide`,
  );
  return patchGrid(clip, cube) as [number, number, number];
}

/** Extent of a cube: [frames, height, width]. */
export const cubeOf = ({ tubeletSize, patchSize }: CubeConfig): [number, number, number] => [
  tubeletSize,
  ...patchSize,
];
