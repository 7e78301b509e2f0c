/** Augmentations of images in memory: functions from a sample and a generator to a new sample. */
import { expect, type Random, whiteOf } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import { resample } from "./resample.js";
import { type CropOptions, type Fit, fitView, randomCropView, type Size, toSize, type View } from "./view.js";

/** Leaves its input as it is; draws from `random` alone. */
export type Augmentation = (sample: ImageSample, random: Random) => ImageSample;

/** One augmentation after the other. */
export function compose(...augmentations: readonly Augmentation[]): Augmentation {
  return (sample, random) => augmentations.reduce((current, augment) => augment(current, random), sample);
}

/** An augmentation that is made with probability `p` and left out otherwise. */
export function randomly(p: number, augment: Augmentation): Augmentation {
  expect(p >= 0 && p <= 1, `randomly: p must be a probability, got ${p}`);
  return (sample, random) => (random.uniform() < p ? augment(sample, random) : sample);
}

/** A random part of the image, bicubic, as torchvision's transform of that name; `scale` defaults to MAE's 0.2-1. */
export function randomResizedCrop(size: number | Size, options?: CropOptions): Augmentation {
  const to = toSize(size, "randomResizedCrop");
  return (sample, random) =>
    resample(sample, randomCropView(sample.height, sample.width, to, random, options));
}

/** Left and right exchanged with probability `p`. */
export function randomHorizontalFlip(p = 0.5): Augmentation {
  return randomly(p, flipHorizontal);
}

/** Left and right exchanged. */
export function flipHorizontal(sample: ImageSample): ImageSample {
  const whole = { top: 0, left: 0, height: sample.height, width: sample.width };
  return resample(sample, {
    window: whole,
    box: whole,
    size: [sample.height, sample.width],
    flip: true,
  });
}

/** The evaluation view of an image in memory: see `fitView`. `background` (0 black, 1 white) fills bars beside it. */
export function fitImage(
  sample: ImageSample,
  size: number | Size,
  fit: Fit = "centre-crop",
  background = 1,
): ImageSample {
  return takeView(sample, fitView(sample.height, sample.width, toSize(size, "fitImage"), fit), background);
}

/** The picture that `view` takes of an image, with bars of `background` (0 black, 1 white) where it does not fill it. */
export function takeView(sample: ImageSample, view: View, background: number): ImageSample {
  return placeImage(resample(sample, view), view, background);
}

/** Puts a resampled image where its view wants it. */
export function placeImage(sample: ImageSample, { place }: View, background: number): ImageSample {
  if (!place || (place.size[0] === sample.height && place.size[1] === sample.width)) return sample;
  const { channels } = sample;
  const [height, width] = place.size;
  const pixels = blankLike(sample.pixels, height * width * channels, background);
  const length = sample.width * channels;
  for (let y = 0; y < sample.height; y++)
    pixels.set(
      sample.pixels.subarray(y * length, (y + 1) * length),
      ((place.top + y) * width + place.left) * channels,
    );
  return { ...sample, pixels, height, width };
}

/** `length` values of the type of `pixels`, all `level` (0 black, 1 white). */
export function blankLike(
  pixels: ImageSample["pixels"],
  length: number,
  level: number,
): ImageSample["pixels"] {
  const value = level * whiteOf(pixels);
  if (pixels instanceof Uint8Array) return new Uint8Array(length).fill(Math.round(value));
  if (pixels instanceof Uint16Array) return new Uint16Array(length).fill(Math.round(value));
  return new Float32Array(length).fill(value);
}
