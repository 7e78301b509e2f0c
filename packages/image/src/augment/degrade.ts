/** What happens to pictures on their way through the world: cuts, turns, noise, compression. */
import { expect, type Random, whiteOf } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import { type Augmentation, blankLike } from "./augmentations.js";
import { mirrored } from "./blur.js";
import { type Size, toSize } from "./view.js";

/** A part of `size` at full resolution, anywhere; a smaller picture stands in the middle and is mirrored about its borders. */
export function randomCrop(size: number | Size): Augmentation {
  const [rows, columns] = toSize(size, "randomCrop");
  const offset = (length: number, wanted: number, random: Random) =>
    length >= wanted ? random.int(length - wanted + 1) : -((wanted - length) >> 1);
  return (sample, random) => {
    const { height, width, channels, pixels } = sample;
    const top = offset(height, rows, random);
    const left = offset(width, columns, random);
    const out = blankLike(pixels, rows * columns * channels, 0);
    for (let y = 0, i = 0; y < rows; y++) {
      const row = mirrored(top + y, height) * width;
      for (let x = 0; x < columns; x++) {
        const from = (row + mirrored(left + x, width)) * channels;
        for (let c = 0; c < channels; c++) out[i++] = pixels[from + c]!;
      }
    }
    return { ...sample, pixels: out, height: rows, width: columns };
  };
}

/** Turned by `quarters` of a circle, counter-clockwise as seen. */
export function rotateQuarters(sample: ImageSample, quarters: number): ImageSample {
  let turned = sample;
  for (let i = 0; i < quarters; i++) turned = quarterTurn(turned);
  return turned;
}

function quarterTurn(sample: ImageSample): ImageSample {
  const { height, width, channels, pixels } = sample;
  const out = blankLike(pixels, pixels.length, 0);
  for (let y = 0, i = 0; y < width; y++)
    for (let x = 0; x < height; x++) {
      const from = (x * width + width - 1 - y) * channels;
      for (let c = 0; c < channels; c++) out[i++] = pixels[from + c]!;
    }
  return { ...sample, pixels: out, height: width, width: height };
}

/** Normal noise of `deviation` (white being 1) on every value; integers are rounded and clipped. */
export function gaussianNoise(sample: ImageSample, deviation: number, random: Random): ImageSample {
  const { pixels } = sample;
  const white = whiteOf(pixels);
  const whole = !(pixels instanceof Float32Array);
  const out = pixels.slice();
  for (let i = 0; i < out.length; i++) {
    const value = pixels[i]! + deviation * white * random.normal();
    out[i] = whole ? Math.min(white, Math.max(0, Math.round(value))) : value;
  }
  return { ...sample, pixels: out };
}

// Tables K.1 and K.2 of the JPEG standard (ITU-T T.81).
const LUMINANCE = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
  29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103,
  121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

const SIDE = 8;
/** [frequency, place] of the orthonormal cosine transform. */
const COSINES = Float64Array.from({ length: SIDE * SIDE }, (_, i) => {
  const [k, n] = [Math.floor(i / SIDE), i % SIDE];
  return (k === 0 ? Math.sqrt(1 / SIDE) : Math.sqrt(2 / SIDE)) * Math.cos(((2 * n + 1) * k * Math.PI) / 16);
});

/**
 * What JPEG at `quality` (1-100) leaves of a picture: its colours as luminance and chrominance, in blocks of 8 x 8 whose
 * cosine coefficients are rounded to the steps of libjpeg's tables. All is bytes, as in JPEG; chrominance keeps its
 * resolution.
 */
export function jpegArtefacts(sample: ImageSample, quality: number): ImageSample {
  expect(quality >= 1 && quality <= 100, `jpegArtefacts: quality must be in 1-100, got ${quality}`);
  const { height, width, channels, pixels } = sample;
  const white = whiteOf(pixels);
  const colour = channels === 3;
  const planes = Array.from({ length: channels }, () => new Float64Array(height * width));
  for (let i = 0; i < height * width; i++)
    for (let c = 0; c < channels; c++) planes[c]![i] = (pixels[i * channels + c]! * 255) / white;
  if (colour) toLuminance(planes);
  for (const [c, plane] of planes.entries())
    quantise(plane, height, width, steps(colour && c > 0 ? CHROMINANCE : LUMINANCE, quality));
  if (colour) toColours(planes);
  const out = blankLike(pixels, pixels.length, 0);
  const whole = !(pixels instanceof Float32Array);
  for (let i = 0; i < height * width; i++)
    for (let c = 0; c < channels; c++) {
      const value = (Math.min(255, Math.max(0, planes[c]![i]!)) * white) / 255;
      out[i * channels + c] = whole ? Math.round(value) : value;
    }
  return { ...sample, pixels: out };
}

/** libjpeg's scaling of the tables. */
function steps(table: readonly number[], quality: number): Float64Array {
  const scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  return Float64Array.from(table, (step) =>
    Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100))),
  );
}

/** Red, green and blue to luminance and the two differences of JFIF, the latter about 128; in place. */
function toLuminance([r, g, b]: readonly Float64Array[]): void {
  for (let i = 0; i < r!.length; i++) {
    const red = r![i]!;
    const green = g![i]!;
    const blue = b![i]!;
    r![i] = 0.299 * red + 0.587 * green + 0.114 * blue;
    g![i] = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue;
    b![i] = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue;
  }
}

function toColours([y, cb, cr]: readonly Float64Array[]): void {
  for (let i = 0; i < y!.length; i++) {
    const luminance = y![i]!;
    const blue = cb![i]! - 128;
    const red = cr![i]! - 128;
    y![i] = luminance + 1.402 * red;
    cb![i] = luminance - 0.344136 * blue - 0.714136 * red;
    cr![i] = luminance + 1.772 * blue;
  }
}

const toByte = (value: number) => Math.round(Math.min(255, Math.max(0, value)));

/** Rounds the blocks of a plane of bytes in place; blocks beyond the border repeat its last row and column. */
function quantise(plane: Float64Array, height: number, width: number, step: Float64Array): void {
  const block = new Float64Array(SIDE * SIDE);
  const between = new Float64Array(SIDE * SIDE);
  for (let top = 0; top < height; top += SIDE)
    for (let left = 0; left < width; left += SIDE) {
      for (let y = 0; y < SIDE; y++)
        for (let x = 0; x < SIDE; x++)
          block[y * SIDE + x] =
            Math.round(plane[Math.min(height - 1, top + y) * width + Math.min(width - 1, left + x)]!) - 128;
      transform(block, between, false);
      for (let i = 0; i < block.length; i++) block[i] = Math.round(block[i]! / step[i]!) * step[i]!;
      transform(block, between, true);
      for (let y = 0; y < SIDE && top + y < height; y++)
        for (let x = 0; x < SIDE && left + x < width; x++)
          plane[(top + y) * width + left + x] = toByte(block[y * SIDE + x]! + 128);
    }
}

/** C B C' or, back, C' B C, in place. */
function transform(block: Float64Array, between: Float64Array, back: boolean): void {
  const cosine = (k: number, n: number) => COSINES[back ? n * SIDE + k : k * SIDE + n]!;
  for (let k = 0; k < SIDE; k++)
    for (let x = 0; x < SIDE; x++) {
      let sum = 0;
      for (let n = 0; n < SIDE; n++) sum += cosine(k, n) * block[n * SIDE + x]!;
      between[k * SIDE + x] = sum;
    }
  for (let y = 0; y < SIDE; y++)
    for (let k = 0; k < SIDE; k++) {
      let sum = 0;
      for (let n = 0; n < SIDE; n++) sum += cosine(k, n) * between[y * SIDE + n]!;
      block[y * SIDE + k] = sum;
    }
}
