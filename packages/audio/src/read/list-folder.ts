/** The sound files of a folder, in an order that is the same on every machine. */
import { readdirSync, realpathSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { expect, UnmaskError } from "@unmask/core";

export const AUDIO_EXTENSIONS: ReadonlySet<string> = new Set(
  (
    ".wav .wave .flac .mp3 .ogg .oga .opus .m4a .aac .aif .aiff .wma .ac3 .amr .au .caf .mka " +
    ".mp4 .m4v .mov .webm .mkv .avi .mpg .mpeg .3gp"
  ).split(" "),
);

export interface FolderListing {
  /** Paths inside the folder, with forward slashes, in the order of their UTF-16 code units. */
  readonly paths: readonly string[];
  /** How many other files there are, by extension. */
  readonly ignored: ReadonlyMap<string, number>;
}

/**
 * Lists the files below `directory`, at any depth, that have the extension of a sound or video file. What begins with a
 * dot is left out.
 * @throws UnmaskError when the folder cannot be read or holds no such file
 */
export function listFolder(directory: string): FolderListing {
  const paths: string[] = [];
  const ignored = new Map<string, number>();
  const seen = new Set<string>(); // real paths, so that links in a circle end

  function visit(inside: string) {
    const full = join(directory, inside);
    const real = realpathSync(full);
    if (seen.has(real)) return;
    seen.add(real);
    for (const entry of readdirSync(full, { withFileTypes: true })) {
      if (entry.name.startsWith(".")) continue;
      const path = inside === "" ? entry.name : `${inside}/${entry.name}`;
      const kind = entry.isSymbolicLink()
        ? statSync(join(directory, path), { throwIfNoEntry: false })
        : entry;
      if (kind?.isDirectory()) visit(path);
      else if (kind?.isFile()) {
        const extension = extname(entry.name).toLowerCase();
        if (AUDIO_EXTENSIONS.has(extension)) paths.push(path);
        else ignored.set(extension, (ignored.get(extension) ?? 0) + 1);
      }
    }
  }

  try {
    visit("");
  } catch (error) {
    throw new UnmaskError(`audioFolder: cannot read ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const others = [...ignored].map(([extension, count]) => `${count} ${extension || "without extension"}`);
  expect(
    paths.length > 0,
    () =>
      `audioFolder: ${directory} holds no recording; found ${others.join(", ") || "no file"}, expected ${[...AUDIO_EXTENSIONS].join(" ")}`,
  );
  paths.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return { paths, ignored };
}
