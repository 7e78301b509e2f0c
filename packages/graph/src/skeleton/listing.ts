/** The skeleton files below a folder, in an order that is the same on every machine. */
import { readdirSync } from "node:fs";
import { extname } from "node:path";
import { expect, UnmaskError } from "@unmask/core";

const SKELETON_EXTENSIONS = new Set([".skeleton", ".json", ".txt"]);

/** Paths inside the folder, forward slashes. @throws UnmaskError where the folder holds none */
export function listSkeletons(directory: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(directory, { recursive: true, encoding: "utf8" });
  } catch (error) {
    throw new UnmaskError(`skeletons: cannot read ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const paths = entries
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => SKELETON_EXTENSIONS.has(extname(path).toLowerCase()) && !isAbout(path))
    .sort((a, b) => (a < b ? -1 : 1));
  expect(
    paths.length > 0,
    () =>
      `skeletons: ${directory} holds no ${[...SKELETON_EXTENSIONS].join(", ")} file; give a folder of sequences`,
  );
  return paths;
}

/** Texts that lie beside data. */
const isAbout = (path: string) => /(^|\/)(\.|readme|source|licen[cs]e|missing|files_used)/i.test(path);
