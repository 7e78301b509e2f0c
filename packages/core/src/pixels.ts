/** Pixels of images and frames as the methods of several packages take them: sizes, white, mean and deviation. */
import { z } from "zod";
import { expect } from "./errors.js";

const count = z.int().positive();

/** A size as one number or one for each of two axes. */
export const sizeSchema = (description: string) =>
  z
    .union([count, z.tuple([count, count]).readonly()])
    .transform((size): readonly [number, number] => (typeof size === "number" ? [size, size] : size))
    .describe(description);

export interface PixelInput {
  readonly channels: number;
  /** Per channel, in units of the pixel range (0 black, 1 white); a single value stands for all channels. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** The schema keys of mean and deviation, ImageNet's by default. */
export const pixelInputShape = {
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
export function channelStatistics({ channels, mean, std }: PixelInput): {
  mean: number[];
  std: number[];
} {
  const spread = (name: string, values: readonly number[]): number[] => {
    if (values.length === channels) return [...values];
    const isDefault =
      values.length === 3 && values.every((v, i) => v === IMAGENET.mean[i] || v === IMAGENET.std[i]);
    expect(
      values.length === 1 || isDefault,
      `config: ${name} has ${values.length} values for ${channels} channels; give one for each, or one for all`,
    );
    const average = values.reduce((sum, v) => sum + v, 0) / values.length;
    return Array.from({ length: channels }, () => average);
  };
  return { mean: spread("mean", mean), std: spread("std", std) };
}

/** The value that white has in pixels of this type; numbers of other types are taken as they are. */
export const whiteOf = (pixels: ArrayLike<number>): number =>
  pixels instanceof Uint8Array ? 255 : pixels instanceof Uint16Array ? 65535 : 1;

/** (value / white - mean) / std of pixels, channel fastest, into `values` from `start` on. */
export function normalisePixels(
  pixels: ArrayLike<number>,
  { mean, std }: ReturnType<typeof channelStatistics>,
  values: Float32Array,
  start: number,
): void {
  const channels = mean.length;
  const white = whiteOf(pixels);
  for (let c = 0; c < channels; c++) {
    const scale = 1 / (white * std[c]!);
    const shift = -mean[c]! / std[c]!;
    for (let i = c, at = start + c; i < pixels.length; i += channels, at += channels)
      values[at] = pixels[i]! * scale + shift;
  }
}
