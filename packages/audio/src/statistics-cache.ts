/** Statistics of a folder, measured once and kept in a file. */
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "@unmask/core/node";
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
  { cacheDirectory = defaultDirectory(), ...options }: FolderStatisticsOptions = {},
): Promise<EnergyStatistics> {
  const limit = Math.min(options.limit ?? folder.length, folder.length);
  const path = join(cacheDirectory, `energies-${await folder.fingerprint()}-${limit}.json`);
  const known = await readStatistics(path);
  if (known) return known;
  const statistics = await energyStatistics(folder, options);
  await keep(statistics, cacheDirectory, path);
  return statistics;
}

/** Where nothing can be written the next run measures again; that is no reason to fail this one. */
async function keep(statistics: EnergyStatistics, directory: string, path: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(statistics)}\n`);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["EACCES", "EPERM", "EROFS", "ENOSPC", "ENOTDIR", "EEXIST"].includes(code)) throw error;
  }
}

function defaultDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "unmask");
}

/** Undefined where there is no such file or it is damaged: then it is measured and written again. */
async function readStatistics(path: string): Promise<EnergyStatistics | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
