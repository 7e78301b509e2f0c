/**
 * Gives `@tensorflow/tfjs-node` the compiled part that its own install script could not fetch or build:
 * TensorFlow's libraries and C headers come out of the Python wheel that pip finds, and the package's own
 * binding sources are linked against them. docs/engines.md says which versions this was verified with.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { UnmaskError } from "../../errors.js";
import { type FoundPackage, findPackage } from "../project.js";
import { runCommand } from "./run-command.js";
import { extractedWheel, extractWheel } from "./wheel.js";

export interface InstallTensorflowOptions {
  /** The project that has tfjs-node. Default: the working directory. */
  readonly directory?: string;
  /** The Python whose pip fetches the wheel. Default: python3. */
  readonly python?: string;
  /** A wheel on disk, instead of pip. */
  readonly wheel?: string;
  /** For tfjs-node-gpu, with the CUDA build of TensorFlow. */
  readonly gpu?: boolean;
  /** "script" runs the package's own install script, which downloads from outside the npm registry. Default: "wheel". */
  readonly route?: "wheel" | "script";
  /** Is told what happens, line by line. */
  readonly log?: (line: string) => void;
}

export interface TensorflowInstallation {
  /** The folder of tfjs-node. */
  readonly package: string;
  readonly binding: string;
  /** The version of TensorFlow that computes. */
  readonly tensorflow: string;
  /** Whether an earlier installation was found in order and left alone. */
  readonly already: boolean;
}

/**
 * Installs the `tensorflow` engine into a project's `@tensorflow/tfjs-node` and proves it with a matrix product
 * in a process of its own. Safe to repeat and to interrupt: each finished step is kept.
 * @throws UnmaskError that says what is missing: the package, pip, a compiler, Node's headers.
 */
export async function installTensorflow(
  options: InstallTensorflowOptions = {},
): Promise<TensorflowInstallation> {
  const { directory = process.cwd(), log = () => undefined, route = "wheel" } = options;
  const found = await findTfjsNode(resolve(directory), options.gpu === true);
  const binding = bindingPath(found.directory);
  const installation = { package: found.directory, binding };
  if (existsSync(binding)) {
    const tensorflow = await verify(found).catch((error: Error) => log(`repairing: ${error.message}`));
    if (tensorflow !== undefined) return { ...installation, tensorflow, already: true };
  }
  if (route === "script") await runOwnScript(found, log);
  else await buildFromWheel(found, binding, options, log);
  log("verifying with a matrix product");
  return { ...installation, tensorflow: await verify(found), already: false };
}

async function findTfjsNode(directory: string, gpu: boolean): Promise<FoundPackage> {
  const name = gpu ? "@tensorflow/tfjs-node-gpu" : "@tensorflow/tfjs-node";
  const found = await findPackage(name, [directory]);
  if (found === undefined)
    throw new UnmaskError(
      `installTensorflow: ${directory} has no ${name}; run "npm install ${name} --ignore-scripts" there first`,
    );
  return found;
}

/** Where tfjs-node looks for its addon on this Node: `lib/napi-vN/tfjs_binding.node`. */
function bindingPath(directory: string): string {
  const fromPackage = createRequire(join(directory, "package.json"));
  const { find } = fromPackage("@mapbox/node-pre-gyp") as { find(manifest: string): string };
  return find(join(directory, "package.json"));
}

async function runOwnScript(found: FoundPackage, log: (line: string) => void): Promise<void> {
  const fromPackage = createRequire(join(found.directory, "package.json"));
  const tools = join(dirname(fromPackage.resolve("@mapbox/node-pre-gyp/package.json")), "bin");
  const env = { ...process.env, PATH: `${tools}${delimiter}${process.env.PATH ?? ""}` };
  const script = ["scripts/install.js", ...(found.name.endsWith("-gpu") ? ["gpu", "download"] : [])];
  log(`running the install script of ${found.name} ${found.version}`);
  await runCommand(process.execPath, script, { cwd: found.directory, env, log }).catch((error: Error) => {
    throw new UnmaskError(
      `installTensorflow: the install script of ${found.name} failed (${error.message}); use { route: "wheel" }`,
      { cause: error },
    );
  });
}

async function buildFromWheel(
  found: FoundPackage,
  binding: string,
  options: InstallTensorflowOptions,
  log: (line: string) => void,
): Promise<void> {
  if (process.platform !== "linux")
    throw new UnmaskError(
      `installTensorflow: the wheel route was made for Linux, this is ${process.platform}; use { route: "script" }, or the native engine`,
    );
  const headers = await nodeHeaders(found.directory);
  const deps = join(found.directory, "deps");
  const download = join(found.directory, ".unmask-download");
  const done = options.wheel === undefined ? await extractedWheel(deps) : undefined;
  if (done === undefined) {
    const wheel = options.wheel ?? (await downloadWheel(download, options, log));
    log(`taking libraries and headers out of ${wheel}`);
    await extractWheel(wheel, deps);
    await rm(download, { recursive: true, force: true });
  } else log(`libraries of TensorFlow ${done.tensorflow} are in place`);
  await compile(found.directory, deps, headers, binding, log);
}

/** Has pip fetch a wheel into `folder` (the user's pip configuration decides from where); one that is there is kept. */
export async function downloadWheel(
  folder: string,
  { python = "python3", gpu = false }: Pick<InstallTensorflowOptions, "python" | "gpu">,
  log: (line: string) => void,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = gpu || process.arch !== "x64" ? "tensorflow" : "tensorflow-cpu";
  const inFolder = async () => (await readdir(folder)).find((file) => file.endsWith(".whl"));
  if ((await inFolder()) === undefined) {
    log(`fetching ${name} with ${python} -m pip download`);
    const args = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", folder, name];
    await runCommand(python, args, { log }).catch((error: Error) => {
      throw new UnmaskError(
        `installTensorflow: pip could not fetch ${name} (${error.message}); name a Python that has pip with { python }, or a wheel on disk with { wheel }`,
        { cause: error },
      );
    });
  }
  const file = await inFolder();
  if (file === undefined)
    throw new UnmaskError(`installTensorflow: pip left no wheel of ${name} in ${folder}`);
  return join(folder, file);
}

/** The folder with Node-API's headers. @throws UnmaskError that says how to get them. */
async function nodeHeaders(packageDirectory: string): Promise<string> {
  const own = await findPackage("node-api-headers", [packageDirectory, process.cwd()]);
  const folders = [
    join(dirname(process.execPath), "..", "include", "node"),
    ...(process.env.npm_config_nodedir ? [join(process.env.npm_config_nodedir, "include", "node")] : []),
    join(homedir(), ".cache", "node-gyp", process.versions.node, "include", "node"),
    ...(own === undefined ? [] : [join(own.directory, "include")]),
  ];
  const folder = folders.find((candidate) => existsSync(join(candidate, "node_api.h")));
  if (folder === undefined)
    throw new UnmaskError(
      'installTensorflow: Node\'s headers (node_api.h) were not found; run "npm install --save-dev node-api-headers" in the project',
    );
  return folder;
}

async function compile(
  packageDirectory: string,
  deps: string,
  headers: string,
  binding: string,
  log: (line: string) => void,
): Promise<void> {
  const compiler = process.env.CXX ?? "g++";
  const napi = /napi-v(\d+)/.exec(binding)?.[1] ?? "8";
  const part = `${binding}.part`;
  await mkdir(dirname(binding), { recursive: true });
  log(`linking the binding of tfjs-node with ${compiler}`);
  const args = [
    ..."-std=c++17 -O2 -shared -fPIC".split(" "),
    `-DNAPI_VERSION=${napi}`,
    "-DNODE_GYP_MODULE_NAME=tfjs_binding",
    `-I${join(deps, "include")}`,
    `-I${headers}`,
    join("binding", "tfjs_backend.cc"),
    join("binding", "tfjs_binding.cc"),
    `-L${join(deps, "lib")}`,
    "-l:libtensorflow_cc.so.2",
    "-l:libtensorflow_framework.so.2",
    "-Wl,-rpath,$ORIGIN/../../deps/lib",
    "-o",
    part,
  ];
  await runCommand(compiler, args, { cwd: packageDirectory }).catch((error: Error) => {
    throw new UnmaskError(
      `installTensorflow: the binding could not be compiled (${error.message}); a C++17 compiler is needed (Debian: apt-get install g++; another one: the variable CXX)`,
      { cause: error },
    );
  });
  log(`wrote ${binding} (${(await stat(part)).size} bytes)`);
  await rename(part, binding);
}

/** Multiplies two matrices on the engine in a process of its own; returns TensorFlow's version. */
async function verify(found: FoundPackage): Promise<string> {
  const program = `
    const util = require("node:util");
    util.isNullOrUndefined = (value) => value == null;
    util.isArray = Array.isArray;
    const tf = require(${JSON.stringify(found.directory)});
    const product = tf.matMul(tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5, 6], [7, 8]]));
    const { binding } = tf.backend();
    console.log("RESULT" + JSON.stringify([tf.getBackend(), binding.TF_Version, [...product.dataSync()]]));`;
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" };
  const output = await runCommand(process.execPath, ["-e", program], { env });
  const [backend, version, product] = JSON.parse(/RESULT(.*)/.exec(output)?.[1] ?? "[]") as unknown[];
  if (backend !== "tensorflow" || String(product) !== "19,22,43,50")
    throw new UnmaskError(`installTensorflow: the engine computed ${product} where 19,22,43,50 was expected`);
  return String(version);
}
