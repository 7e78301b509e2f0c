/** Mean and deviation of a data set's log energies: what models subtract and divide by. */
import { BadSampleError, type Dataset, expect } from "@unmask/core";
import type { AudioSample } from "./sample.js";

export interface EnergyStatistics {
  /** Over all frames that were recorded and all bands; padding does not count. */
  readonly mean: number;
  readonly std: number;
  /** How many recordings were measured, and how many of those asked for could not be read. */
  readonly recordings: number;
  readonly skipped: number;
}

export interface StatisticsOptions {
  /** Measures so many recordings, evenly spread over the data set. Default all. */
  readonly limit?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** So many recordings are read at a time; they are added up in their order whatever comes first. */
const READ_AHEAD = 16;

/**
 * Measures the evaluation views, one after the other: memory does not grow with the data set.
 * @throws UnmaskError when no recording can be read
 */
export async function energyStatistics(
  dataset: Dataset<AudioSample>,
  { limit = dataset.length, onProgress }: StatisticsOptions = {},
): Promise<EnergyStatistics> {
  expect(
    Number.isInteger(limit) && limit > 0,
    `energyStatistics: limit must be a positive integer, got ${limit}`,
  );
  const total = Math.min(limit, dataset.length);
  const indices = Array.from({ length: total }, (_, i) => Math.floor((i * dataset.length) / total));
  let [count, mean, squares, recordings] = [0, 0, 0, 0];
  for (let start = 0; start < total; start += READ_AHEAD) {
    const batch = indices.slice(start, start + READ_AHEAD);
    for (const sample of await Promise.all(batch.map((index) => readOrSkip(dataset, index)))) {
      if (sample === undefined) continue;
      recordings++;
      const { values, frames, recorded = frames } = sample;
      const used = values.subarray(0, (values.length / frames) * recorded);
      for (const value of used) {
        const distance = value - mean; // Welford 1962: no difference of large sums is taken
        mean += distance / ++count;
        squares += distance * (value - mean);
      }
    }
    onProgress?.(start + batch.length, total);
  }
  expect(count > 0, `energyStatistics: none of the ${total} recordings of ${dataset.name} can be read`);
  return { mean, std: Math.sqrt(squares / count), recordings, skipped: total - recordings };
}

async function readOrSkip(dataset: Dataset<AudioSample>, index: number): Promise<AudioSample | undefined> {
  try {
    return await dataset.get(index);
  } catch (error) {
    if (error instanceof BadSampleError) return undefined;
    throw error;
  }
}
