/** Mean and deviation of a data set's pixels: what models subtract and divide by. */
import { BadSampleError, type Dataset, expect, whiteOf } from "@unmask/core";
import type { ImageSample } from "./sample.js";

/** Per channel, over all pixels of all images, white being 1. */
export interface PixelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** How many images were measured, and how many of those asked for could not be read. */
  readonly images: number;
  readonly skipped: number;
}

export interface StatisticsOptions {
  /** Measures so many images, evenly spread over the data set. Default all. */
  readonly limit?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** So many images are read at a time; they are added up in their order whatever comes first. */
const READ_AHEAD = 16;

/**
 * Measures the evaluation views, one after the other: memory does not grow with the data set.
 * @throws UnmaskError when no image can be read or channels differ between images.
 */
export async function pixelStatistics(
  dataset: Dataset<ImageSample>,
  { limit = dataset.length, onProgress }: StatisticsOptions = {},
): Promise<PixelStatistics> {
  expect(
    Number.isInteger(limit) && limit > 0,
    `pixelStatistics: limit must be a positive integer, got ${limit}`,
  );
  const total = Math.min(limit, dataset.length);
  const indices = Array.from({ length: total }, (_, i) => Math.floor((i * dataset.length) / total));
  let channels: Moments[] | undefined;
  let images = 0;
  for (let start = 0; start < total; start += READ_AHEAD) {
    const batch = indices.slice(start, start + READ_AHEAD);
    const samples = await Promise.all(batch.map((index) => readOrSkip(dataset, index)));
    for (const sample of samples) {
      if (!sample) continue;
      const own = imageMoments(sample);
      expect(
        channels === undefined || channels.length === own.length,
        () =>
          `pixelStatistics: ${dataset.name} has images of ${channels?.length} and of ${own.length} channels; give the reader channels: 1, 3 or 4`,
      );
      channels = channels ? channels.map((moments, c) => merge(moments, own[c]!)) : own;
      images++;
    }
    onProgress?.(start + batch.length, total);
  }
  expect(
    channels !== undefined,
    `pixelStatistics: none of the ${total} images of ${dataset.name} can be read`,
  );
  return {
    mean: channels.map(({ mean }) => mean),
    std: channels.map(({ squares, count }) => Math.sqrt(squares / count)),
    images,
    skipped: total - images,
  };
}

async function readOrSkip(dataset: Dataset<ImageSample>, index: number): Promise<ImageSample | undefined> {
  try {
    return await dataset.get(index);
  } catch (error) {
    if (error instanceof BadSampleError) return undefined;
    throw error;
  }
}

interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Sum of squared distances from the mean. */
  readonly squares: number;
}

function imageMoments({ pixels, channels, height, width }: ImageSample): Moments[] {
  const count = height * width;
  const white = whiteOf(pixels);
  return Array.from({ length: channels }, (_, channel) => {
    let sum = 0;
    for (let i = channel; i < pixels.length; i += channels) sum += pixels[i]!;
    const mean = sum / count;
    let squares = 0;
    for (let i = channel; i < pixels.length; i += channels) squares += (pixels[i]! - mean) ** 2;
    return { count, mean: mean / white, squares: squares / white ** 2 };
  });
}

/** Source: Chan, Golub and LeVeque 1979; no difference of large sums is taken. */
function merge(a: Moments, b: Moments): Moments {
  const count = a.count + b.count;
  const distance = b.mean - a.mean;
  return {
    count,
    mean: a.mean + (distance * b.count) / count,
    squares: a.squares + b.squares + (distance ** 2 * a.count * b.count) / count,
  };
}
