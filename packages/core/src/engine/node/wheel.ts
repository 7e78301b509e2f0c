/** Takes the libraries and the C headers that tfjs-node needs out of a TensorFlow wheel (a zip archive). */
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { openPromise } from "yauzl";
import { FormatError } from "../../errors.js";

/** What `extractWheel` wrote; kept beside the files as `unmask.json`. */
export interface ExtractedWheel {
  /** The wheel's file name. */
  readonly wheel: string;
  /** TensorFlow's version, out of that name. */
  readonly tensorflow: string;
  readonly bytes: number;
}

const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
const headers = /^tensorflow\/include\/((?:tensorflow\/c|tensorflow\/core\/platform|tsl|xla\/tsl)\/.+\.h)$/;

/** Where a file of the wheel goes below the target folder, or undefined when it is not needed. */
function destination(name: string): string | undefined {
  const library = libraries.find((file) => name === `tensorflow/${file}`);
  if (library !== undefined) return join("lib", library);
  const header = headers.exec(name)?.[1];
  return header === undefined ? undefined : join("include", header);
}

/**
 * Writes `include/` and `lib/` below `folder`, which is replaced as a whole: after a crash it is the old one or
 * the new one. A folder that holds this wheel already is left as it is.
 * @throws FormatError when the file is no zip archive, is damaged, or holds no TensorFlow library.
 */
export async function extractWheel(wheel: string, folder: string): Promise<ExtractedWheel> {
  const done = await extractedWheel(folder);
  if (done?.wheel === basename(wheel)) return done;
  const part = `${folder}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const { bytes, found } = await unzip(wheel, part).catch((error: Error) => {
    throw new FormatError(`${wheel}: not a readable wheel (${error.message}); fetch it again`, {
      cause: error,
    });
  });
  const missing = libraries.filter((file) => !found.has(join("lib", file)));
  if (missing.length > 0)
    throw new FormatError(
      `${wheel}: expected a TensorFlow wheel for Linux, but it holds no ${missing.join(" and no ")}; ` +
        "use one of tensorflow-cpu or tensorflow, version 2.16 or later",
    );
  const result = { wheel: basename(wheel), tensorflow: basename(wheel).split("-")[1] ?? "unknown", bytes };
  await writeFile(join(part, "unmask.json"), `${JSON.stringify(result, null, 2)}\n`);
  await rm(folder, { recursive: true, force: true });
  await rename(part, folder);
  return result;
}

/** What an earlier {@link extractWheel} left in `folder`, if it was completed. */
export async function extractedWheel(folder: string): Promise<ExtractedWheel | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, "unmask.json"), "utf8")) as ExtractedWheel;
  } catch {
    return undefined;
  }
}

async function unzip(wheel: string, folder: string): Promise<{ bytes: number; found: ReadonlySet<string> }> {
  const archive = await openPromise(wheel, { lazyEntries: true, autoClose: false });
  const found = new Set<string>();
  let bytes = 0;
  try {
    for await (const entry of archive.eachEntry()) {
      const path = destination(entry.fileName);
      if (path === undefined) continue;
      await mkdir(dirname(join(folder, path)), { recursive: true });
      // yauzl refuses names that lead out of the folder, and data longer than the entry says
      await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(join(folder, path)));
      found.add(path);
      bytes += entry.uncompressedSize;
    }
  } finally {
    archive.close();
  }
  return { bytes, found };
}
