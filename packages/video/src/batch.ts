/** From decoded clips to the tensors of a step. */
import * as tf from "@tensorflow/tfjs";
import { expect, patchGrid } from "@unmask/core";
import { z } from "zod";
import type { VideoSample } from "./sample.js";

/** What every video method's config says about its input. */
export interface VideoInput {
  /** Frames of a clip. */
  readonly frames: number;
  /** [height, width] in pixels. */
  readonly imageSize: readonly [number, number];
  readonly channels: number;
  /** Per channel, in units of the pixel range (0 black, 1 white); a single value stands for all channels. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** How clips are cut into cubes of neighbouring frames and pixels, one token each. */
export interface CubeConfig {
  /** Frames of a cube. */
  readonly tubeletSize: number;
  /** [height, width] of a cube in pixels. */
  readonly patchSize: readonly [number, number];
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

export const count = z.int().positive();

/** A size as one number or [height, width]. */
export const sizeSchema = (description: string) =>
  z
    .union([count, z.tuple([count, count]).readonly()])
    .transform((size): readonly [number, number] => (typeof size === "number" ? [size, size] : size))
    .describe(description);

/** The schema keys of `VideoInput` and `CubeConfig`, those of the VideoMAE family by default. */
export const videoInputShape = {
  frames: count.default(16).describe("frames of a clip"),
  imageSize: sizeSchema("height and width of the frames in pixels").default([224, 224]),
  channels: count.default(3).describe("channels of the frames"),
  mean: z
    .array(z.number())
    .min(1)
    .readonly()
    .default(IMAGENET.mean)
    .describe("per-channel mean that is subtracted, white being 1"),
  std: z
    .array(z.number().positive())
    .min(1)
    .readonly()
    .default(IMAGENET.std)
    .describe("per-channel deviation that is divided by"),
  tubeletSize: count.default(2).describe("frames of a cube"),
  patchSize: sizeSchema("height and width of a cube in pixels").default([16, 16]),
};

/** Throws unless mean and std fit the channels. ImageNet's three, the default, are averaged for other channel counts. */
export function channelStatistics({ channels, mean, std }: Pick<VideoInput, "channels" | "mean" | "std">): {
  mean: number[];
  std: number[];
} {
  const spread = (name: string, values: readonly number[]): number[] => {
    if (values.length === channels) return [...values];
    const isDefault =
      values.length === 3 && values.every((v, i) => v === IMAGENET.mean[i] || v === IMAGENET.std[i]);
    expect(
      values.length === 1 || isDefault,
      `video config: ${name} has ${values.length} values for ${channels} channels; give one for each, or one for all`,
    );
    const average = values.reduce((sum, v) => sum + v, 0) / values.length;
    return Array.from({ length: channels }, () => average);
  };
  return { mean: spread("mean", mean), std: spread("std", std) };
}

/** The value that white has in pixels of this type. */
export const whiteOf = (pixels: VideoSample["pixels"]): number =>
  pixels instanceof Uint8Array ? 255 : pixels instanceof Uint16Array ? 65535 : 1;

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
  const { mean, std } = channelStatistics(config);
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
    const white = whiteOf(pixels);
    for (let c = 0; c < channels; c++) {
      const scale = 1 / (white * std[c]!);
      const shift = -mean[c]! / std[c]!;
      for (let i = c, at = index * size + c; i < size; i += channels, at += channels)
        values[at] = pixels[i]! * scale + shift;
    }
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
