/** From decoded images to the tensors of a step. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "@unmask/core";
import { z } from "zod";
import type { ImageSample } from "./sample.js";

/** What every image method's config says about its input. */
export interface ImageInput {
  /** [height, width] in pixels. */
  readonly imageSize: readonly [number, number];
  readonly channels: number;
  /** Per channel, in units of the pixel range (0 black, 1 white); a single value stands for all channels. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const positive = z.int().positive();

/** A size as one number or [height, width]. */
export const sizeSchema = (description: string) =>
  z
    .union([positive, z.tuple([positive, positive]).readonly()])
    .transform((size): readonly [number, number] => (typeof size === "number" ? [size, size] : size))
    .describe(description);

/** The schema keys of `ImageInput`, shared by image methods; means and deviations default to ImageNet's. */
export const imageInputShape = {
  imageSize: sizeSchema("height and width of the input in pixels").default([224, 224]),
  channels: positive.default(3).describe("channels of the input"),
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
};

/** Throws unless mean and std fit the channels. ImageNet's three, the default, are averaged for other channel counts. */
export function channelStatistics({ channels, mean, std }: ImageInput): { mean: number[]; std: number[] } {
  const spread = (name: string, values: readonly number[]): number[] => {
    if (values.length === channels) return [...values];
    const isDefault =
      values.length === 3 && values.every((v, i) => v === IMAGENET.mean[i] || v === IMAGENET.std[i]);
    expect(
      values.length === 1 || isDefault,
      `image config: ${name} has ${values.length} values for ${channels} channels; give one for each, or one for all`,
    );
    const average = values.reduce((sum, v) => sum + v, 0) / values.length;
    return Array.from({ length: channels }, () => average);
  };
  return { mean: spread("mean", mean), std: spread("std", std) };
}

/** Rows and columns of patches. Throws unless they fill the picture. */
export function imageGrid({
  imageSize,
  patchSize,
}: Pick<ImageInput, "imageSize"> & { readonly patchSize: readonly [number, number] }): [number, number] {
  const [rows, columns] = [imageSize[0] / patchSize[0], imageSize[1] / patchSize[1]];
  expect(
    Number.isInteger(rows) && Number.isInteger(columns),
    `image config: imageSize ${imageSize.join("x")} is not a multiple of patchSize ${patchSize.join("x")}; choose sizes that divide`,
  );
  return [rows, columns];
}

/**
 * Samples as one normalised tensor, (value / white - mean) / std.
 * @returns [B, H, W, C]
 */
export function imageTensor(config: ImageInput, samples: readonly ImageSample[]): tf.Tensor4D {
  const [height, width] = config.imageSize;
  const { channels } = config;
  const { mean, std } = channelStatistics(config);
  const size = height * width * channels;
  const values = new Float32Array(samples.length * size);
  samples.forEach(({ pixels, ...sample }, index) => {
    expect(
      sample.height === height &&
        sample.width === width &&
        sample.channels === channels &&
        pixels.length === size,
      () =>
        `image batch: expected ${height}x${width} pixels of ${channels} channels, got ${sample.height}x${sample.width} of ${sample.channels}; give the reader size and channels of the model`,
    );
    const white = pixels instanceof Uint8Array ? 255 : pixels instanceof Uint16Array ? 65535 : 1;
    for (let c = 0; c < channels; c++) {
      const scale = 1 / (white * std[c]!);
      const shift = -mean[c]! / std[c]!;
      for (let i = c, at = index * size + c; i < size; i += channels, at += channels)
        values[at] = pixels[i]! * scale + shift;
    }
  });
  return tf.tensor4d(values, [samples.length, height, width, channels]);
}
