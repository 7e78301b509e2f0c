/** Files that are either the old one or the whole new one, whatever happens during the write. */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export type Chunks = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes `chunks` to a new file beside `path`, flushes it to the disk, renames it to `path` and flushes the directory.
 * When anything throws, `path` is as it was and the new file is removed.
 */
export async function writeFileAtomic(path: string, chunks: Chunks): Promise<void> {
  const beside = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    const file = await open(beside, "wx");
    try {
      for await (const chunk of asIterable(chunks)) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes renames and new files in `directory` survive a power cut. Windows has no such call and needs none. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function asIterable(chunks: Chunks): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof chunks === "string") return [new TextEncoder().encode(chunks)];
  return chunks instanceof Uint8Array ? [chunks] : chunks;
}

/** One write call moves at most 2 GiB, so a larger chunk goes in parts. */
async function writeAll(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, done, Math.min(chunk.byteLength - done, 2 ** 30));
    done += bytesWritten;
  }
}
