/** Gaussian blur, the arithmetic of torchvision's: a cut kernel of odd length, mirrored borders. */
import { expect } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import type { Augmentation } from "./augmentations.js";
import { toUint16 } from "./resample.js";

export interface BlurOptions {
  /** Least and greatest deviation in pixels. Default SimCLR's 0.1-2. */
  readonly sigma?: readonly [number, number];
  /** Length of the kernel, odd. Default a tenth of the shorter side, as SimCLR has it, at least 3. */
  readonly kernelSize?: number;
}

/** Blurs by a deviation drawn evenly. */
export function randomGaussianBlur({ sigma = [0.1, 2], kernelSize }: BlurOptions = {}): Augmentation {
  const [least, greatest] = sigma;
  expect(
    least > 0 && least <= greatest,
    () => `randomGaussianBlur: sigma must be [least, greatest], both positive, got ${JSON.stringify(sigma)}`,
  );
  return (sample, random) => gaussianBlur(sample, least + (greatest - least) * random.uniform(), kernelSize);
}

/** Blurs by a Gaussian of `sigma` pixels; integers are rounded. */
export function gaussianBlur(sample: ImageSample, sigma: number, kernelSize = tenthOf(sample)): ImageSample {
  expect(
    sigma > 0 && Number.isInteger(kernelSize) && kernelSize % 2 === 1 && kernelSize > 0,
    `gaussianBlur: sigma must be positive and kernelSize odd, got ${sigma} and ${kernelSize}`,
  );
  const { height, width, channels, pixels } = sample;
  const weights = kernel(sigma, (kernelSize - 1) / 2);
  const across = blurRows(pixels, height, width, channels, weights);
  const both = blurColumns(across, height, width * channels, weights);
  if (pixels instanceof Float32Array) return { ...sample, pixels: both };
  if (pixels instanceof Uint16Array) return { ...sample, pixels: toUint16(both) };
  const bytes = new Uint8Array(both.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = both[i]! + 0.5; // storing cuts; a weighted mean stays in range
  return { ...sample, pixels: bytes };
}

const tenthOf = ({ height, width }: ImageSample) =>
  Math.max(3, 2 * Math.floor(Math.min(height, width) / 20) + 1);

/** Weights of -radius to radius. Beyond 5.5 deviations they are below the rounding of single precision and left out. */
function kernel(sigma: number, radius: number): Float64Array {
  const reach = Math.min(radius, Math.ceil(5.5 * sigma));
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - reach) / sigma) ** 2),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** An index beyond the border, mirrored about the outermost pixel. */
export function mirrored(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const inPeriod = ((index % period) + period) % period;
  return inPeriod < length ? inPeriod : period - inPeriod;
}

function blurRows(
  from: ImageSample["pixels"],
  height: number,
  width: number,
  channels: number,
  weights: Float64Array,
): Float32Array {
  const reach = (weights.length - 1) / 2;
  const rowLength = width * channels;
  const padded = new Float32Array(rowLength + 2 * reach * channels);
  const sums = new Float64Array(rowLength);
  const out = new Float32Array(from.length);
  for (let y = 0; y < height; y++) {
    padded.set(from.subarray(y * rowLength, (y + 1) * rowLength), reach * channels);
    for (let x = 1; x <= reach; x++)
      for (let c = 0; c < channels; c++) {
        padded[(reach - x) * channels + c] = from[y * rowLength + mirrored(-x, width) * channels + c]!;
        padded[(reach + width + x - 1) * channels + c] =
          from[y * rowLength + mirrored(width + x - 1, width) * channels + c]!;
      }
    sums.fill(0);
    for (let k = 0; k < weights.length; k++) addScaled(sums, padded, k * channels, weights[k]!);
    out.set(sums, y * rowLength);
  }
  return out;
}

function blurColumns(
  from: Float32Array,
  height: number,
  rowLength: number,
  weights: Float64Array,
): Float32Array {
  const reach = (weights.length - 1) / 2;
  const sums = new Float64Array(rowLength);
  const out = new Float32Array(from.length);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let k = 0; k < weights.length; k++)
      addScaled(sums, from, mirrored(y + k - reach, height) * rowLength, weights[k]!);
    out.set(sums, y * rowLength);
  }
  return out;
}

/** sums += weight * values, read from `start` on. */
function addScaled(sums: Float64Array, values: Float32Array, start: number, weight: number): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += weight * values[start + i]!;
}
