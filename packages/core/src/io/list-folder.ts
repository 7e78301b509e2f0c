/** The files of a folder by their extension, in an order that is the same on every machine, and the classes they lie in. */
import { readdirSync, realpathSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { expect, UnmaskError } from "../errors.js";

export interface FolderListing {
  /** Paths inside the folder, with forward slashes, in the order of their UTF-16 code units. */
  readonly paths: readonly string[];
  /** How many other files there are, by extension. */
  readonly ignored: ReadonlyMap<string, number>;
}

/** Who asks, for errors. */
interface FolderReader {
  /** The function that was called: imageFolder. */
  readonly caller: string;
  /** What it looks for, one of them: an image. */
  readonly wanted: string;
  /** In lower case, with the dot. */
  readonly extensions: ReadonlySet<string>;
}

/**
 * Lists the files below `directory`, at any depth, that have one of the extensions. What begins with a dot is left out;
 * links are followed, each folder once.
 * @throws UnmaskError when the folder cannot be read or holds no such file
 */
export function listFolder(directory: string, { caller, wanted, extensions }: FolderReader): FolderListing {
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
        if (extensions.has(extension)) paths.push(path);
        else ignored.set(extension, (ignored.get(extension) ?? 0) + 1);
      }
    }
  }

  try {
    visit("");
  } catch (error) {
    throw new UnmaskError(`${caller}: cannot read ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  expect(paths.length > 0, () => {
    const others = [...ignored].map(([extension, count]) => `${count} ${extension || "without extension"}`);
    return `${caller}: ${directory} holds no ${wanted}; found ${others.join(", ") || "no file"}, expected ${[...extensions].join(" ")}`;
  });
  paths.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return { paths, ignored };
}

/**
 * Classes from first-level sub-folders, if there are any; files beside them have class -1. `known` fixes names and their
 * order, as a test folder needs that must agree with its training folder.
 */
export function folderClasses(
  paths: readonly string[],
  known?: readonly string[],
): { classes?: readonly string[]; labels?: Int32Array } {
  const folderOf = (path: string) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined);
  const found = [...new Set(paths.map(folderOf))].filter((folder) => folder !== undefined).sort();
  const classes = known ?? found;
  if (classes.length === 0) return {};
  const index = new Map(classes.map((name, i) => [name, i]));
  const labels = Int32Array.from(paths, (path) => index.get(folderOf(path) ?? "") ?? -1);
  return { classes, labels };
}
