/** Statistics of a folder, measured once and kept in a file. */
import { keptMeasurement } from "@unmask/core/node";
import { z } from "zod";
import type { AudioFolder } from "./read/audio-folder.js";
import { type EnergyStatistics, energyStatistics, type StatisticsOptions } from "./statistics.js";

export interface FolderStatisticsOptions extends StatisticsOptions {
  /** Where measurements are kept; default `unmask` in XDG_CACHE_HOME or ~/.cache. */
  readonly cacheDirectory?: string;
}

const schema = z.object({
  mean: z.number(),
  std: z.number(),
  recordings: z.number(),
  skipped: z.number(),
});

/**
 * As `energyStatistics`; read from a file when the folder's files (names, sizes, times of change), the form of the
 * spectrograms and the limit are those of an earlier measurement.
 */
export async function folderEnergyStatistics(
  folder: AudioFolder,
  { cacheDirectory, ...options }: FolderStatisticsOptions = {},
): Promise<EnergyStatistics> {
  const limit = Math.min(options.limit ?? folder.length, folder.length);
  const name = `energies-${await folder.fingerprint()}-${limit}`;
  return keptMeasurement({ name, schema, directory: cacheDirectory }, () =>
    energyStatistics(folder, options),
  );
}
