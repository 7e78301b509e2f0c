/** Statistics of a folder, measured once and kept in a file. */
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "@unmask/core/node";
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
  { cacheDirectory = defaultDirectory(), ...options }: FolderStatisticsOptions = {},
): Promise<PixelStatistics> {
  const limit = Math.min(options.limit ?? folder.length, folder.length);
  const path = join(cacheDirectory, `pixels-${await folder.fingerprint()}-${limit}.json`);
  const known = await readStatistics(path);
  if (known) return known;
  const statistics = await pixelStatistics(folder, options);
  await keep(statistics, cacheDirectory, path);
  return statistics;
}

/** Where nothing can be written the next run measures again; that is no reason to fail this one. */
async function keep(statistics: PixelStatistics, directory: string, path: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(statistics)}\n`);
  } catch (error) {
    if (
      !["EACCES", "EPERM", "EROFS", "ENOSPC", "ENOTDIR", "EEXIST"].includes(
        (error as NodeJS.ErrnoException).code ?? "",
      )
    )
      throw error;
  }
}

function defaultDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "unmask");
}

/** Undefined where there is no such file or it is damaged: then it is measured and written again. */
async function readStatistics(path: string): Promise<PixelStatistics | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
