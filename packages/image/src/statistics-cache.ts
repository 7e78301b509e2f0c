/** Statistics of a folder, measured once and kept in a file. */
import { keptMeasurement } from "@unmask/core/node";
import { z } from "zod";
import type { ImageFolder } from "./read/image-folder.js";
import { type PixelStatistics, pixelStatistics, type StatisticsOptions } from "./statistics.js";

export interface FolderStatisticsOptions extends StatisticsOptions {
  /** Where measurements are kept; default `unmask` in XDG_CACHE_HOME or ~/.cache. */
  readonly cacheDirectory?: string;
}

const numbers = z.array(z.number());
const schema = z.object({
  mean: numbers,
  std: numbers,
  images: z.number(),
  skipped: z.number(),
});

/**
 * As `pixelStatistics`; read from a file when the folder's files (names, sizes, times of change), the evaluation view
 * and the limit are those of an earlier measurement.
 */
export async function folderStatistics(
  folder: ImageFolder,
  { cacheDirectory, ...options }: FolderStatisticsOptions = {},
): Promise<PixelStatistics> {
  const limit = Math.min(options.limit ?? folder.length, folder.length);
  const name = `pixels-${await folder.fingerprint()}-${limit}`;
  return keptMeasurement({ name, schema, directory: cacheDirectory }, () => pixelStatistics(folder, options));
}
