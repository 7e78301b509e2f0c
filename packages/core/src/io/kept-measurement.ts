/** What was measured once on a folder and is kept in a file. */
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import { writeFileAtomic } from "./atomic-write.js";

interface KeptMeasurement<T> {
  /** Says what was measured on what, as part of a file's name. */
  readonly name: string;
  readonly schema: z.ZodType<T>;
  /** Where measurements are kept; default `unmask` in XDG_CACHE_HOME or ~/.cache. */
  readonly directory?: string;
}

/** The measurement kept under the name; measured and kept where there is none or its file is damaged. */
export async function keptMeasurement<T>(
  { name, schema, directory = defaultDirectory() }: KeptMeasurement<T>,
  measure: () => Promise<T>,
): Promise<T> {
  const path = join(directory, `${name}.json`);
  const known = await read(path, schema);
  if (known !== undefined) return known;
  const measured = await measure();
  await keep(measured, directory, path);
  return measured;
}

function defaultDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "unmask");
}

async function read<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Where nothing can be written the next run measures again; that is no reason to fail this one. */
async function keep(measured: unknown, directory: string, path: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(measured)}\n`);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["EACCES", "EPERM", "EROFS", "ENOSPC", "ENOTDIR", "EEXIST"].includes(code)) throw error;
  }
}
