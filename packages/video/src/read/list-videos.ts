/** The videos of a folder, in an order that is the same on every machine. */
import { readdirSync, realpathSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { expect, UnmaskError } from "@unmask/core";

export const VIDEO_EXTENSIONS: ReadonlySet<string> = new Set([
  ...[
    ".mp4",
    ".m4v",
    ".mov",
    ".webm",
    ".mkv",
    ".avi",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".ogv",
    ".3gp",
    ".ts",
    ".gif",
  ],
]);

const FRAME_EXTENSIONS: ReadonlySet<string> = new Set([
  ".png",
  ".jpg",
  ".jpeg",
  ".webp",
  ".tif",
  ".tiff",
  ".avif",
]);

export interface ListedVideo {
  /** Inside the folder, with forward slashes: a file, or a folder of frames. */
  readonly path: string;
  /** File names of the frames in order, in a folder of frames. */
  readonly frames?: readonly string[];
}

export interface VideoListing {
  /** In the order of their paths' UTF-16 code units. */
  readonly videos: readonly ListedVideo[];
  /** How many other files there are, by extension. */
  readonly ignored: ReadonlyMap<string, number>;
}

/**
 * Lists the video files below `directory`, at any depth, and the folders that hold nothing but the images of one video's
 * frames, in the order of the numbers in their names. What begins with a dot is left out.
 * @throws UnmaskError when the folder cannot be read or holds no video.
 */
export function listVideos(directory: string): VideoListing {
  const videos: ListedVideo[] = [];
  const ignored = new Map<string, number>();
  const seen = new Set<string>(); // real paths, so that links in a circle end

  function visit(inside: string) {
    const real = realpathSync(join(directory, inside));
    if (seen.has(real)) return;
    seen.add(real);
    const { folders, files } = entriesOf(directory, inside);
    const isVideo = (name: string) => VIDEO_EXTENSIONS.has(extname(name).toLowerCase());
    const images = files.filter((name) => FRAME_EXTENSIONS.has(extname(name).toLowerCase()));
    const isClip = images.length > 1 && folders.length === 0 && !files.some(isVideo);
    if (isClip) videos.push({ path: inside === "" ? "." : inside, frames: images.sort(byNumbers) });
    for (const name of files) {
      const path = inside === "" ? name : `${inside}/${name}`;
      if (isVideo(name)) videos.push({ path });
      else if (!isClip || !images.includes(name)) {
        const extension = extname(name).toLowerCase();
        ignored.set(extension, (ignored.get(extension) ?? 0) + 1);
      }
    }
    for (const name of folders) visit(inside === "" ? name : `${inside}/${name}`);
  }

  try {
    visit("");
  } catch (error) {
    throw new UnmaskError(`videoFolder: cannot read ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  expect(videos.length > 0, () => {
    const found = [...ignored].map(([extension, n]) => `${n} ${extension || "without extension"}`).join(", ");
    return `videoFolder: ${directory} holds no video; found ${found || "no file"}, expected ${[...VIDEO_EXTENSIONS].join(" ")} or folders of frames`;
  });
  videos.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { videos, ignored };
}

function entriesOf(directory: string, inside: string): { folders: string[]; files: string[] } {
  const [folders, files]: [string[], string[]] = [[], []];
  for (const entry of readdirSync(join(directory, inside), { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const kind = entry.isSymbolicLink()
      ? statSync(join(directory, inside, entry.name), { throwIfNoEntry: false })
      : entry;
    if (kind?.isDirectory()) folders.push(entry.name);
    else if (kind?.isFile()) files.push(entry.name);
  }
  return { folders: folders.sort(), files: files.sort() };
}

/** frame-2 before frame-10. */
function byNumbers(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true }) || (a < b ? -1 : 1);
}
