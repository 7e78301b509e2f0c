/**
 * Bicubic resampling with antialiasing, the arithmetic of Pillow's `Image.resize(size, BICUBIC, box)`: 8-bit images come
 * out the same to the bit, so that what is measured here compares with torchvision's transforms.
 */
import type { ImageSample } from "../sample.js";
import type { View } from "./view.js";

/** Which inputs each output position along one axis reads, and how much each counts. */
interface Taps<W extends Float64Array | Int32Array> {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, width]; the first `count` of each row are used. */
  readonly weights: W;
  readonly width: number;
}

/**
 * The picture that `view` takes of an image: its box, resampled to its size, mirrored where it says so.
 * Integers are rounded and clipped to their type; floats are neither.
 * @returns pixels [size[0], size[1], channels]; the image itself when the view is the whole of it, unchanged.
 */
export function resample(image: ImageSample, { window, box, size, flip }: View): ImageSample {
  const [rows, columns] = size;
  const { channels } = image;
  const sameRows = box.height === rows && Number.isInteger(box.top);
  const sameColumns = box.width === columns && Number.isInteger(box.left) && !flip;
  if (sameRows && sameColumns && rows === image.height && columns === image.width) return image;

  const across = cubicTaps(window.left, window.width, box.left, box.width, columns);
  const down = cubicTaps(window.top, window.height, box.top, box.height, rows);
  if (flip) mirror(across);
  const top = sameRows ? box.top : down.first[0]!;
  const bottom = sameRows ? top + rows : down.first[rows - 1]! + down.count[rows - 1]!;
  const band = image.pixels.subarray(
    top * image.width * channels,
    bottom * image.width * channels,
  ) as ImageSample["pixels"];
  const start = { ...down, first: down.first.map((row) => row - top) };

  let pixels: ImageSample["pixels"];
  if (band instanceof Uint8Array) {
    const narrow = sameColumns
      ? cutColumns(band, new Uint8Array((bottom - top) * columns * channels), image, box.left, columns)
      : byteColumns(band, image.width, channels, fixedPoint(across), columns);
    pixels = sameRows ? narrow : byteRows(narrow, fixedPoint(start), columns * channels);
  } else {
    const narrow = sameColumns
      ? cutColumns(band, new Float32Array((bottom - top) * columns * channels), image, box.left, columns)
      : floatColumns(band, image.width, channels, across, columns);
    const floats = sameRows ? narrow : floatRows(narrow, start, columns * channels);
    pixels = band instanceof Uint16Array ? toUint16(floats) : floats;
  }
  return { ...image, pixels, height: rows, width: columns };
}

/** The cubic convolution kernel with a = -0.5. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Taps for `outputs` positions spread evenly over [start, start + length), reading only [low, low + extent). */
function cubicTaps(
  low: number,
  extent: number,
  start: number,
  length: number,
  outputs: number,
): Taps<Float64Array> {
  const scale = length / outputs;
  const stretch = Math.max(scale, 1); // antialiasing: a wider kernel where the image shrinks
  const support = 2 * stretch;
  const width = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(outputs);
  const count = new Int32Array(outputs);
  const weights = new Float64Array(outputs * width);
  for (let i = 0; i < outputs; i++) {
    const centre = start + (i + 0.5) * scale;
    const begin = Math.max(low, Math.floor(centre - support + 0.5));
    const end = Math.min(low + extent, Math.floor(centre + support + 0.5));
    let sum = 0;
    for (let x = begin; x < end; x++)
      sum += weights[i * width + x - begin] = cubic((x - centre + 0.5) / stretch);
    for (let k = 0; k < end - begin; k++) weights[i * width + k]! /= sum;
    first[i] = begin;
    count[i] = end - begin;
  }
  return { first, count, weights, width };
}

function mirror({ first, count, weights, width }: Taps<Float64Array>): void {
  first.reverse();
  count.reverse();
  const original = weights.slice();
  const outputs = first.length;
  for (let i = 0; i < outputs; i++)
    weights.set(original.subarray((outputs - 1 - i) * width, (outputs - i) * width), i * width);
}

const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/** Weights as multiples of 2^-22: sums of 8-bit products then fit 32 bits. */
function fixedPoint(taps: Taps<Float64Array>): Taps<Int32Array> {
  const weights = new Int32Array(taps.weights.length);
  for (let i = 0; i < weights.length; i++) {
    const weight = taps.weights[i]! * 2 ** FRACTION_BITS;
    weights[i] = weight + (weight < 0 ? -0.5 : 0.5); // cut towards zero
  }
  return { ...taps, weights };
}

function clipByte(sum: number): number {
  const value = sum >> FRACTION_BITS;
  return Math.min(Math.max(value, 0), 255);
}

/** [rows, width, C] -> [rows, columns, C] */
function byteColumns(
  from: Uint8Array,
  width: number,
  channels: number,
  taps: Taps<Int32Array>,
  columns: number,
): Uint8Array {
  const rows = from.length / (width * channels);
  const to = new Uint8Array(rows * columns * channels);
  const { first, count, weights } = taps;
  for (let y = 0, at = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const left = (y * width + first[x]!) * channels;
      const end = left + count[x]! * channels;
      for (let c = 0; c < channels; c++) {
        let sum = HALF;
        for (let i = left + c, k = x * taps.width; i < end; i += channels, k++)
          sum = (sum + Math.imul(weights[k]!, from[i]!)) | 0;
        to[at++] = clipByte(sum);
      }
    }
  return to;
}

/** [rows, rowLength] -> [outputs, rowLength] */
function byteRows(from: Uint8Array, taps: Taps<Int32Array>, rowLength: number): Uint8Array {
  const { first, count, weights, width } = taps;
  const to = new Uint8Array(first.length * rowLength);
  for (let y = 0, at = 0; y < first.length; y++) {
    const start = first[y]! * rowLength;
    const end = start + count[y]! * rowLength;
    for (let x = 0; x < rowLength; x++) {
      let sum = HALF;
      for (let i = start + x, k = y * width; i < end; i += rowLength, k++)
        sum = (sum + Math.imul(weights[k]!, from[i]!)) | 0;
      to[at++] = clipByte(sum);
    }
  }
  return to;
}

/** [rows, width, C] -> [rows, columns, C] */
function floatColumns(
  from: Uint16Array | Float32Array,
  width: number,
  channels: number,
  taps: Taps<Float64Array>,
  columns: number,
): Float32Array {
  const rows = from.length / (width * channels);
  const to = new Float32Array(rows * columns * channels);
  const { first, count, weights } = taps;
  for (let y = 0, at = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const left = (y * width + first[x]!) * channels;
      const end = left + count[x]! * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = left + c, k = x * taps.width; i < end; i += channels, k++) sum += weights[k]! * from[i]!;
        to[at++] = sum;
      }
    }
  return to;
}

/** [rows, rowLength] -> [outputs, rowLength] */
function floatRows(from: Float32Array, taps: Taps<Float64Array>, rowLength: number): Float32Array {
  const { first, count, weights, width } = taps;
  const to = new Float32Array(first.length * rowLength);
  for (let y = 0, at = 0; y < first.length; y++) {
    const start = first[y]! * rowLength;
    const end = start + count[y]! * rowLength;
    for (let x = 0; x < rowLength; x++) {
      let sum = 0;
      for (let i = start + x, k = y * width; i < end; i += rowLength, k++) sum += weights[k]! * from[i]!;
      to[at++] = sum;
    }
  }
  return to;
}

/** [rows, width, C] -> [rows, columns, C], unchanged from column `left` on. */
function cutColumns<T extends Uint8Array | Float32Array>(
  from: ArrayLike<number> & { subarray(start: number, end: number): ArrayLike<number> },
  to: T,
  { width, channels }: ImageSample,
  left: number,
  columns: number,
): T {
  const length = columns * channels;
  for (let y = 0; y * length < to.length; y++) {
    const start = (y * width + left) * channels;
    to.set(from.subarray(start, start + length), y * length);
  }
  return to;
}

/** Rounded and clipped. */
export function toUint16(values: Float32Array): Uint16Array {
  const words = new Uint16Array(values.length); // a loop: `from` with a function takes ten times as long
  for (let i = 0; i < words.length; i++) words[i] = Math.min(65535, Math.max(0, Math.round(values[i]!)));
  return words;
}
