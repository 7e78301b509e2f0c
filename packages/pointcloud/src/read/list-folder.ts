/** The files of a folder, in an order that is the same on every machine. */
import { readdirSync, realpathSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { UnmaskError } from "@unmask/core";

/** Files below `directory`, at any depth, that have one of the extensions; paths inside it, with forward slashes. */
export function listFiles(directory: string, extensions: ReadonlySet<string>): string[] {
  const paths: string[] = [];
  const seen = new Set<string>(); // real paths, so that links in a circle end
  const visit = (inside: string) => {
    const real = realpathSync(join(directory, inside));
    if (seen.has(real)) return;
    seen.add(real);
    for (const name of readdirSync(real)) {
      if (name.startsWith(".")) continue;
      const path = inside === "" ? name : `${inside}/${name}`;
      const kind = statSync(join(directory, path), { throwIfNoEntry: false });
      if (kind?.isDirectory()) visit(path);
      else if (kind?.isFile() && extensions.has(extname(name).toLowerCase())) paths.push(path);
    }
  };
  try {
    visit("");
  } catch (error) {
    throw new UnmaskError(`pointFolder: cannot read ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return paths.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Classes from first-level sub-folders, if there are any; files beside them have class -1. `known` fixes their order. */
export function folderLabels(
  paths: readonly string[],
  known?: readonly string[],
): { classes?: readonly string[]; labels?: Int32Array } {
  const folderOf = (path: string) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined);
  const found = [...new Set(paths.map(folderOf))].filter((folder) => folder !== undefined).sort();
  const classes = known ?? found;
  if (classes.length === 0) return {};
  const index = new Map(classes.map((name, i) => [name, i]));
  return { classes, labels: Int32Array.from(paths, (path) => index.get(folderOf(path) ?? "") ?? -1) };
}
