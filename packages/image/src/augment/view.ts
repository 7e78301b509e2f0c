/** Which part of an image becomes a picture of the wanted size: arithmetic on sizes, no pixels. */
import { expect, type Random } from "@unmask/core";

/** [height, width] in pixels. */
export type Size = readonly [number, number];

/** A rectangle in pixels of the image; its edges may lie inside pixels. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

export interface View {
  /** The whole pixels that may be read: a crop is cut before it is resampled, so nothing beside it shows. */
  readonly window: Box;
  /** What becomes the picture, in pixels of the image, inside the window. */
  readonly box: Box;
  /** Size that `box` is resampled to. */
  readonly size: Size;
  readonly flip: boolean;
  /** Where the resampled box stands in a larger picture. */
  readonly place?: { readonly size: Size; readonly top: number; readonly left: number };
}

/** How an image of any size becomes a picture of the wanted one when nothing is random. */
export type Fit = "centre-crop" | "stretch" | "pad" | "crop";

/** The share of the resized image that MAE's centre crop keeps: 224 of 256 pixels. */
const CROP_FRACTION = 224 / 256;

export function toSize(size: number | Size, caller: string): Size {
  const [height, width] = typeof size === "number" ? [size, size] : size;
  expect(
    Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0,
    () => `${caller}: size must be a positive integer or [height, width], got ${JSON.stringify(size)}`,
  );
  return [height, width];
}

/**
 * The evaluation view. An image of the wanted size is taken as it is.
 * - `centre-crop`: the shorter side is resized to size * 256 / 224 and the centre is cut out, as MAE evaluates
 *   (torchvision Resize and CenterCrop); an image no larger than the wanted size is cropped without that margin.
 * - `stretch`: the whole image, its aspect given up.
 * - `pad`: the whole image in the middle, its aspect kept, bars beside it.
 * - `crop`: the centre at full resolution, nothing resampled; bars beside an image that is smaller.
 */
export function fitView(height: number, width: number, size: Size, fit: Fit): View {
  switch (fit) {
    case "centre-crop":
      return centreCropView(height, width, size);
    case "stretch":
      return wholeView(height, width, size);
    case "pad":
      return padView(height, width, size);
    case "crop":
      return cropView(height, width, size);
  }
}

/** The whole image at another size. */
export function wholeView(height: number, width: number, size: Size): View {
  const whole = { top: 0, left: 0, height, width };
  return { window: whole, box: whole, size, flip: false };
}

function centreCropView(height: number, width: number, size: Size): View {
  const fraction = height <= size[0] && width <= size[1] ? 1 : CROP_FRACTION;
  const cover = [Math.floor(size[0] / fraction), Math.floor(size[1] / fraction)] as const;
  const tall = cover[0] / height < cover[1] / width; // the width decides
  const resizedHeight = tall ? Math.floor((cover[1] * height) / width) : cover[0];
  const resizedWidth = tall ? cover[1] : Math.floor((cover[0] * width) / height);
  const [down, across] = [height / resizedHeight, width / resizedWidth];
  return {
    ...wholeView(height, width, size),
    box: {
      top: roundHalfToEven((resizedHeight - size[0]) / 2) * down,
      left: roundHalfToEven((resizedWidth - size[1]) / 2) * across,
      height: size[0] * down,
      width: size[1] * across,
    },
  };
}

function padView(height: number, width: number, size: Size): View {
  const scale = Math.min(size[0] / height, size[1] / width);
  const inner = [
    Math.min(size[0], Math.max(1, Math.round(height * scale))),
    Math.min(size[1], Math.max(1, Math.round(width * scale))),
  ] as const;
  const place = { size, top: (size[0] - inner[0]) >> 1, left: (size[1] - inner[1]) >> 1 };
  return { ...wholeView(height, width, inner), place };
}

function cropView(height: number, width: number, size: Size): View {
  const inner = [Math.min(height, size[0]), Math.min(width, size[1])] as const;
  const centred = (outer: number, part: number) => (outer - part) >> 1;
  return {
    ...wholeView(height, width, inner),
    box: {
      top: centred(height, inner[0]),
      left: centred(width, inner[1]),
      height: inner[0],
      width: inner[1],
    },
    place: { size, top: centred(size[0], inner[0]), left: centred(size[1], inner[1]) },
  };
}

export interface CropOptions {
  /** Least and greatest share of the image's area. */
  readonly scale?: readonly [number, number];
  /** Least and greatest width / height. */
  readonly ratio?: readonly [number, number];
}

const TRIES = 10;

/**
 * A random part of the image, of random area and aspect, resized to `size`. The procedure is that of torchvision's
 * RandomResizedCrop: ten tries, then the largest centred part of an allowed aspect. Scale defaults to MAE's 0.2-1.
 */
export function randomCropView(
  height: number,
  width: number,
  size: Size,
  random: Random,
  { scale = [0.2, 1], ratio = [3 / 4, 4 / 3] }: CropOptions = {},
): View {
  const window = randomCrop(height, width, random, scale, ratio);
  return { window, box: window, size, flip: false };
}

function randomCrop(
  height: number,
  width: number,
  random: Random,
  scale: readonly [number, number],
  ratio: readonly [number, number],
): Box {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  for (let i = 0; i < TRIES; i++) {
    const area = height * width * between(...scale);
    const aspect = Math.exp(between(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = roundHalfToEven(Math.sqrt(area * aspect));
    const h = roundHalfToEven(Math.sqrt(area / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height)
      return { top: random.int(height - h + 1), left: random.int(width - w + 1), height: h, width: w };
  }
  const aspect = Math.min(Math.max(width / height, ratio[0]), ratio[1]);
  const w = Math.min(width, Math.max(1, roundHalfToEven(height * aspect)));
  const h = Math.min(height, Math.max(1, roundHalfToEven(width / aspect)));
  return { top: (height - h) >> 1, left: (width - w) >> 1, height: h, width: w };
}

/** Python's rounding, which torchvision's sizes and offsets come from. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}
