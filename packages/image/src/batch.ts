/** From decoded images to the tensors of a step. */
import * as tf from "@tensorflow/tfjs";
import {
  channelStatistics,
  expect,
  type Mask,
  normalisePixels,
  type PixelInput,
  pixelInputShape,
  type Random,
  randomMask,
  sizeSchema,
} from "@unmask/core";
import { z } from "zod";
import type { ImageSample } from "./sample.js";

/** What every image method's config says about its input. */
export interface ImageInput extends PixelInput {
  /** [height, width] in pixels. */
  readonly imageSize: readonly [number, number];
}

/** The schema keys of `ImageInput`, shared by image methods; means and deviations default to ImageNet's. */
export const imageInputShape = {
  imageSize: sizeSchema("height and width of the input in pixels").default([224, 224]),
  channels: z.int().positive().default(3).describe("channels of the input"),
  ...pixelInputShape,
};

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
  const statistics = channelStatistics(config);
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
    normalisePixels(pixels, statistics, values, index * size);
  });
  return tf.tensor4d(values, [samples.length, height, width, channels]);
}

/** What methods train on that hide patches at random. */
export interface MaskedImages {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  readonly mask: Mask;
}

interface MaskedInput extends ImageInput {
  readonly patchSize: readonly [number, number];
  readonly maskRatio: number;
}

/** Samples, and as many patches of each hidden as the ratio says. */
export function maskImages(
  config: MaskedInput,
  samples: readonly ImageSample[],
  random: Random,
): MaskedImages {
  const [rows, columns] = imageGrid(config);
  const mask = randomMask({ batch: samples.length, tokens: rows * columns, ratio: config.maskRatio }, random);
  return { images: imageTensor(config, samples), mask };
}
