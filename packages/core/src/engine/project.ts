/**
 * Optional packages in Node. A package manager may keep them where this library does not see them, so they are
 * looked for from here, then from the working directory, then from the script that runs. Nothing here is
 * reached in a browser, and no bundler follows these imports.
 */
import { UnmaskError } from "../errors.js";

/** An import that bundlers leave alone. */
const importAtRun = <T>(specifier: string): Promise<T> =>
  import(/* webpackIgnore: true */ /* @vite-ignore */ specifier);

export interface FoundPackage {
  readonly name: string;
  readonly version: string;
  /** The package's folder. */
  readonly directory: string;
}

interface Manifest {
  readonly version?: string;
  readonly exports?: { readonly "."?: { readonly import?: string } };
}

/** Finds an installed package from any of `folders`, or returns undefined. Default: here, the project, the script. */
export async function findPackage(
  name: string,
  folders?: readonly string[],
): Promise<FoundPackage | undefined> {
  const { existsSync, readFileSync, realpathSync } = await importAtRun<typeof import("node:fs")>("node:fs");
  const { dirname, join } = await importAtRun<typeof import("node:path")>("node:path");
  for (const start of folders ?? (await usualFolders()))
    for (let folder = start, former = ""; folder !== former; former = folder, folder = dirname(folder)) {
      const directory = join(folder, "node_modules", name);
      const file = join(directory, "package.json");
      if (!existsSync(file)) continue;
      const { version = "unknown" } = JSON.parse(readFileSync(file, "utf8")) as Manifest;
      // The real path: behind a link of pnpm, the dependencies are beside it and not beside the link.
      return { name, version, directory: realpathSync(directory) };
    }
  return undefined;
}

async function ownFolder(): Promise<string> {
  const { fileURLToPath } = await importAtRun<typeof import("node:url")>("node:url");
  return fileURLToPath(new URL(".", import.meta.url));
}

async function usualFolders(): Promise<readonly string[]> {
  const { dirname } = await importAtRun<typeof import("node:path")>("node:path");
  const script = process.argv[1];
  return [await ownFolder(), process.cwd(), ...(script === undefined ? [] : [dirname(script)])];
}

/** Loads a package found by {@link findPackage}: CommonJS by `require`, so that it shares its dependencies with us. */
export async function loadPackage<T>({ name, directory }: FoundPackage): Promise<T> {
  const { createRequire } = await importAtRun<typeof import("node:module")>("node:module");
  const { join } = await importAtRun<typeof import("node:path")>("node:path");
  const require = createRequire(join(directory, "package.json"));
  const manifest = require(join(directory, "package.json")) as Manifest;
  if (manifest.exports === undefined) return require(directory) as T;
  if ((await findPackage(name, [await ownFolder()]))?.directory === directory) return importAtRun<T>(name);
  const { pathToFileURL } = await importAtRun<typeof import("node:url")>("node:url");
  return importAtRun<T>(pathToFileURL(join(directory, manifest.exports["."]?.import ?? "index.js")).href);
}

/** Finds and loads an optional package. @throws UnmaskError "not installed" when there is none. */
export async function importFromProject<T>(name: string): Promise<T> {
  return loadPackage<T>(await requirePackage(name));
}

/** Finds an optional package. @throws UnmaskError "not installed" when there is none. */
export async function requirePackage(name: string): Promise<FoundPackage> {
  const found = await findPackage(name);
  if (found === undefined) throw new UnmaskError(`${name} is not installed`);
  return found;
}

/** The processor's name and how many threads it runs at once. */
export async function describeProcessor(): Promise<{ model: string; parallelism: number }> {
  const os = await importAtRun<typeof import("node:os")>("node:os");
  return { model: os.cpus()[0]?.model.trim() ?? os.arch(), parallelism: os.availableParallelism() };
}

/**
 * tfjs-node 4.22 calls two functions of `node:util` that are deprecated, with a warning in Node 22, and gone in
 * Node 24. It gets equal ones, for the whole process.
 */
export async function restoreRemovedUtil(): Promise<void> {
  const { default: util } = await importAtRun<{ default: Record<string, unknown> }>("node:util");
  util.isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  util.isArray = Array.isArray;
}
