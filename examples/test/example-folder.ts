/** Examples are run as they stand, in a folder that holds what they read. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface ExampleFolder {
  readonly path: string;
  /** What an example prints; rejects where it fails. */
  run(name: string): Promise<string>;
  remove(): Promise<void>;
}

/** A new empty folder, from which the packages are found. */
export async function exampleFolder(): Promise<ExampleFolder> {
  const path = await mkdtemp(join(tmpdir(), "unmask-examples-"));
  const examples = new URL("../", import.meta.url);
  await symlink(fileURLToPath(new URL("node_modules", examples)), join(path, "node_modules"), "junction");
  return {
    path,
    async run(name) {
      const script = fileURLToPath(new URL(name, examples));
      const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
      return (await promisify(execFile)(process.execPath, args, { cwd: path })).stdout;
    },
    remove: () => rm(path, { recursive: true }),
  };
}

/** The losses of lines `EPOCH LOSS ...`. */
export const printedLosses = (output: string): number[] =>
  [...output.matchAll(/^\d+ ([\d.e-]+)/gm)].map(([, loss]) => Number(loss));

/** The number after some words. */
export function printed(output: string, words: string): number {
  const at = output.indexOf(words);
  return at < 0 ? Number.NaN : Number.parseFloat(output.slice(at + words.length));
}
