/** Small random rotations, shifts and changes of size. */
import { expect, whiteOf } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import { type Augmentation, blankLike } from "./augmentations.js";

export interface AffineOptions {
  /** Greatest turn to either side, in degrees. */
  readonly degrees?: number;
  /** Greatest shift, as a share of height (down or up) and width (left or right). */
  readonly translate?: number | readonly [number, number];
  /** Least and greatest factor of size. */
  readonly scale?: readonly [number, number];
  /** What appears beside the image: 0 black, the default, to 1 white. */
  readonly background?: number;
}

export interface Affine {
  /** Radians, counter-clockwise as seen. */
  readonly angle: number;
  readonly scale: number;
  /** Pixels down and to the right. */
  readonly shift: readonly [number, number];
}

/** Turns, resizes and shifts the image about its centre, each evenly at random; bilinear, the size stays. */
export function randomAffine(options: AffineOptions = {}): Augmentation {
  const { degrees = 0, translate = 0, scale = [1, 1], background = 0 } = options;
  const [down, across] = typeof translate === "number" ? [translate, translate] : translate;
  expect(
    degrees >= 0 && down >= 0 && across >= 0 && scale[0] > 0 && scale[0] <= scale[1],
    () =>
      `randomAffine: degrees and translate must not be negative, scale must be [least, greatest]; got ${JSON.stringify(options)}`,
  );
  return (sample, random) => {
    const evenly = (limit: number) => (2 * random.uniform() - 1) * limit;
    const angle = (evenly(degrees) * Math.PI) / 180;
    const factor = scale[0] + (scale[1] - scale[0]) * random.uniform();
    const shift = [evenly(down) * sample.height, evenly(across) * sample.width] as const;
    return affine(sample, { angle, scale: factor, shift }, background);
  };
}

/** The image turned about its centre, resized, then shifted; bilinear between pixel centres, background outside. */
export function affine(sample: ImageSample, { angle, scale, shift }: Affine, background = 0): ImageSample {
  const { pixels, height, width, channels } = sample;
  const out = blankLike(pixels, pixels.length, background);
  const outside = background * whiteOf(pixels);
  const half = pixels instanceof Float32Array ? 0 : 0.5; // integers are cut when stored
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2];
  const at = (row: number, column: number, channel: number) =>
    row >= 0 && row < height && column >= 0 && column < width
      ? pixels[(row * width + column) * channels + channel]!
      : outside;

  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [dy, dx] = [y - middleY - shift[0], x - middleX - shift[1]];
      const [fromY, fromX] = [middleY + cos * dy + sin * dx, middleX + cos * dx - sin * dy];
      const [row, column] = [Math.floor(fromY), Math.floor(fromX)];
      if (row < -1 || row >= height || column < -1 || column >= width) continue;
      const [below, right] = [fromY - row, fromX - column];
      for (let c = 0; c < channels; c++) {
        const upper = at(row, column, c) * (1 - right) + at(row, column + 1, c) * right;
        const lower = at(row + 1, column, c) * (1 - right) + at(row + 1, column + 1, c) * right;
        out[(y * width + x) * channels + c] = upper * (1 - below) + lower * below + half;
      }
    }
  return { ...sample, pixels: out };
}
