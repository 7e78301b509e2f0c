/** What the recordings of a folder are of: by sub-folder, by file name, or by a table. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, UnmaskError } from "@unmask/core";

export interface LabelOptions {
  /** Names of classes in the order of their index; default all that occur, sorted. */
  readonly classes?: readonly string[];
  /** Regular expression over the path inside the folder whose first group is the class: `(\d)_[^/]*$`. */
  readonly labelPattern?: string;
  /** CSV file with a column of file names and one of labels; several labels of a file are separated by `;`. */
  readonly labelFile?: string;
}

export interface FolderLabels {
  readonly classes: readonly string[];
  /** First class of each path, -1 where it has none. */
  readonly labels: Int32Array;
  /** All classes of each path, where some path has several. */
  readonly several?: readonly (readonly number[])[];
}

/** Undefined where there are no classes. */
export function folderLabels(paths: readonly string[], options: LabelOptions): FolderLabels | undefined {
  const names = namesOf(paths, options);
  const found = [...new Set(names.flat())].sort();
  const classes = options.classes ?? found;
  if (classes.length === 0) return undefined;
  const index = new Map(classes.map((name, i) => [name, i]));
  const several = names.map((own) => own.flatMap((name) => index.get(name) ?? []));
  const labels = Int32Array.from(several, ([first = -1]) => first);
  return { classes, labels, ...(several.some((own) => own.length > 1) && { several }) };
}

function namesOf(paths: readonly string[], { labelPattern, labelFile }: LabelOptions): string[][] {
  expect(
    labelPattern === undefined || labelFile === undefined,
    "audioFolder: labelPattern and labelFile are two ways to say the same; give one",
  );
  if (labelPattern !== undefined) {
    const pattern = compile(labelPattern);
    const names = paths.map((path) => {
      const found = pattern.exec(path);
      return found?.[1] === undefined ? [] : [found[1]];
    });
    expect(
      names.some((own) => own.length > 0),
      () =>
        `audioFolder: labelPattern ${labelPattern} finds no class, in ${paths[0]} for example; its first group is the class`,
    );
    return names;
  }
  if (labelFile !== undefined) {
    const table = readLabelFile(labelFile);
    const names = paths.map((path) => table.get(path) ?? table.get(basename(path)) ?? []);
    expect(
      names.some((own) => own.length > 0),
      () => `audioFolder: ${labelFile} names none of the recordings, ${paths[0]} for example`,
    );
    return names;
  }
  return paths.map((path) => (path.includes("/") ? [path.slice(0, path.indexOf("/"))] : []));
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw new UnmaskError(`audioFolder: labelPattern ${pattern}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const FILE_COLUMNS = ["file", "filename", "file_name", "path", "name"];
const LABEL_COLUMNS = ["label", "labels", "class", "classes", "category", "target"];

function readLabelFile(path: string): Map<string, string[]> {
  const [head = [], ...rows] = parseCsv(readText(path));
  const column = (names: readonly string[]) => {
    const at = head.findIndex((title) => names.includes(title.trim().toLowerCase()));
    expect(
      at >= 0,
      () => `audioFolder: ${path} has columns ${head.join(", ")}; one must be ${names.join(" or ")}`,
    );
    return at;
  };
  const [file, label] = [column(FILE_COLUMNS), column(LABEL_COLUMNS)];
  const labelsOf = (text = "") => text.split(";").flatMap((name) => name.trim() || []);
  return new Map(rows.map((cells) => [cells[file] ?? "", labelsOf(cells[label])]));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UnmaskError(`audioFolder: cannot read labelFile ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Rows of cells, RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === ",") continue;
    if (row.some((cell) => cell !== "")) rows.push(row);
    row = [];
    if (end === "") break;
  }
  return rows;
}
