/** The skeleton files of a folder. */
import { expect } from "@unmask/core";
import { listFolder } from "@unmask/core/node";

const EXTENSIONS = new Set([".skeleton", ".json", ".txt"]);

/** @throws UnmaskError when the folder cannot be read or holds none */
export function listSkeletons(directory: string): string[] {
  const reader = { caller: "skeletonFolder", wanted: "sequence of skeletons", extensions: EXTENSIONS };
  const paths = listFolder(directory, reader).paths.filter((path) => !isAbout(path));
  expect(
    paths.length > 0,
    `skeletonFolder: ${directory} holds texts about data, but no sequence of skeletons`,
  );
  return paths;
}

/** Texts that lie beside data. */
const isAbout = (path: string) => /(^|\/)(readme|source|licen[cs]e|missing|files_used)/i.test(path);
