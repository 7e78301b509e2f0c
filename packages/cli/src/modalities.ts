/**
 * Finds modality packages: first those of the user's project, then those installed beside this command. None is imported
 * before it is asked for.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Method, ModalityPackage } from "@unmask/core";
import { didYouMean } from "./config/nearest.js";
import { UsageError } from "./errors.js";

export const MODALITIES = ["image", "video", "audio", "pointcloud", "graph", "multimodal"] as const;
export type ModalityName = (typeof MODALITIES)[number];

/** The package was not found. */
class MissingPackageError extends Error {
  override name = "MissingPackageError";
}

/** @throws UsageError where there is no such modality */
export function modalityName(name: string): ModalityName {
  const known = MODALITIES.find((one) => one === name);
  if (known === undefined)
    throw new UsageError(`there is no modality ${name}${didYouMean(name, MODALITIES)}`);
  return known;
}

/** @throws MissingPackageError where its package is not installed */
export async function loadModality(name: ModalityName): Promise<ModalityPackage> {
  const specifier = `@unmask/${name}`;
  const directory = findPackage(specifier);
  if (directory === undefined)
    throw new MissingPackageError(`${plural[name]} need ${specifier}; npm install ${specifier}`);
  checkOneCore(specifier, directory);
  const loaded = (await import(pathToFileURL(entryOf(directory)).href)) as { modality?: ModalityPackage };
  if (loaded.modality === undefined)
    throw new MissingPackageError(
      `this ${specifier} cannot be used from the command line; npm install ${specifier}@latest`,
    );
  return loaded.modality;
}

/** Those that are installed, in the order of `MODALITIES`; `first` before the others. */
export async function installedModalities(first?: string): Promise<ModalityPackage[]> {
  const order = [...MODALITIES].sort((a, b) => Number(b === first) - Number(a === first));
  const found: ModalityPackage[] = [];
  for (const name of order)
    try {
      found.push(await loadModality(name));
    } catch (error) {
      if (!(error instanceof MissingPackageError)) throw error;
    }
  return found;
}

/** The package that has a method; the one named, where its name is known. */
export async function modalityOfMethod(
  id: string,
  modality?: string,
): Promise<{ modality: ModalityPackage; method: Method }> {
  const candidates =
    modality === undefined ? await installedModalities() : [await loadModality(modalityName(modality))];
  for (const candidate of candidates) {
    const method = candidate.methods.find((one) => one.id === id);
    if (method !== undefined) return { modality: candidate, method };
  }
  const known = candidates.flatMap(({ methods }) => methods.map((method) => method.id));
  throw new UsageError(`no installed package has a method ${id}${didYouMean(id, known)}`);
}

const plural: Record<ModalityName, string> = {
  image: "images",
  video: "videos",
  audio: "recordings",
  pointcloud: "point clouds",
  graph: "graphs",
  multimodal: "several modalities together",
};

/** The folder of a package, as the working directory sees it, or else as this file does. */
function findPackage(specifier: string): string | undefined {
  for (const start of [process.cwd(), dirname(fileURLToPath(import.meta.url))])
    for (let folder = start, former = ""; folder !== former; former = folder, folder = dirname(folder)) {
      const directory = join(folder, "node_modules", specifier);
      if (existsSync(join(directory, "package.json"))) return realpathSync(directory);
    }
  return undefined;
}

/** Two copies of the core would each have engines and tensors of their own. */
function checkOneCore(specifier: string, directory: string): void {
  const own = coreSeenFrom(fileURLToPath(import.meta.url));
  const theirs = coreSeenFrom(join(directory, "package.json"));
  if (own !== theirs)
    throw new UsageError(
      `${specifier} in ${directory} and this command use two copies of @unmask/core; npm install unmask in the same project`,
    );
}

const coreSeenFrom = (file: string) => realpathSync(createRequire(file).resolve("@unmask/core/package.json"));

type Target = string | { readonly [condition: string]: Target };

/** The file that an import of the package gets, under the conditions this process runs with. */
function entryOf(directory: string): string {
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
    exports?: { ".": Target };
  };
  const asked = process.execArgv.flatMap((arg, i) => {
    const [, value] = arg.match(/^--conditions=(.*)$/) ?? [];
    return arg === "-C" || arg === "--conditions" ? [process.execArgv[i + 1]!] : (value ?? []);
  });
  const conditions = new Set(["node", "import", "default", ...asked]);
  let target: Target | undefined = manifest.exports?.["."];
  while (typeof target === "object") {
    const step: [string, Target] | undefined = Object.entries(target).find(([name]) => conditions.has(name));
    target = step?.[1];
  }
  return join(directory, target ?? "index.js");
}
