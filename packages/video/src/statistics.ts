/** Mean and deviation of a data set's pixels: what models subtract and divide by. */
import { BadSampleError, type Dataset, expect, whiteOf } from "@unmask/core";
import type { VideoSample } from "./sample.js";

/** Per channel, over all pixels of the measured clips, white being 1. */
export interface ClipStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** How many clips were measured, and how many of those asked for could not be read. */
  readonly clips: number;
  readonly skipped: number;
}

/**
 * Measures the evaluation views of `limit` clips spread evenly over the data set, a few at a time.
 * @throws UnmaskError when none can be read
 */
export async function clipStatistics(
  dataset: Dataset<VideoSample>,
  { limit = 64 }: { readonly limit?: number } = {},
): Promise<ClipStatistics> {
  expect(
    Number.isInteger(limit) && limit > 0,
    `clipStatistics: limit must be a positive integer, got ${limit}`,
  );
  const total = Math.min(limit, dataset.length);
  let count = 0;
  let clips = 0;
  let sums: number[] = [];
  let squares: number[] = [];
  let reason = "";
  const READ_AHEAD = 4;
  for (let start = 0; start < total; start += READ_AHEAD) {
    const indices = Array.from({ length: Math.min(READ_AHEAD, total - start) }, (_, i) =>
      Math.floor(((start + i) * dataset.length) / total),
    );
    const read = await Promise.all(
      indices.map((index) =>
        dataset.get(index).catch((error: Error) => {
          if (!(error instanceof BadSampleError)) throw error;
          reason = error.message;
          return undefined;
        }),
      ),
    );
    for (const sample of read) {
      if (sample === undefined) continue;
      const { pixels, channels } = sample;
      if (clips++ === 0) [sums, squares] = [Array(channels).fill(0), Array(channels).fill(0)];
      const white = whiteOf(pixels);
      count += pixels.length / channels;
      for (let c = 0; c < channels; c++)
        for (let i = c; i < pixels.length; i += channels) {
          const value = pixels[i]! / white;
          sums[c]! += value;
          squares[c]! += value * value;
        }
    }
  }
  expect(clips > 0, () => `clipStatistics: none of ${total} clips of ${dataset.name} can be read: ${reason}`);
  const mean = sums.map((sum) => sum / count);
  return {
    mean,
    std: squares.map((square, c) => Math.sqrt(Math.max(0, square / count - mean[c]! ** 2))),
    clips,
    skipped: total - clips,
  };
}
