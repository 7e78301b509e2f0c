import { chmod, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { downloadWheel, installTensorflow } from "./install-tensorflow.js";

const wheelName = "tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl";
const wheelBytes = zipSync({
  "tensorflow/libtensorflow_cc.so.2": strToU8("library"),
  "tensorflow/libtensorflow_framework.so.2": strToU8("framework"),
  "tensorflow/include/tensorflow/c/c_api.h": strToU8("header"),
});

let root: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "unmask-install-")));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

async function write(name: string, text: string | Uint8Array): Promise<string> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), text);
  return join(root, name);
}

/** A program that records its arguments in `NAME.log` and then does `body`. */
async function program(name: string, body: string): Promise<string> {
  const path = await write(
    name,
    `#!${process.execPath}\nconst fs = require("node:fs"), args = process.argv.slice(2);\n` +
      `fs.appendFileSync(__filename + ".log", args.join(" ") + "\\n");\n${body}\n`,
  );
  await chmod(path, 0o755);
  return path;
}

const calls = async (path: string) =>
  (await readFile(`${path}.log`, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");

const fakePip = () =>
  program(
    "python",
    `fs.copyFileSync(__dirname + "/${wheelName}", args[args.indexOf("--dest") + 1] + "/${wheelName}");`,
  );

/** A project with a stand-in for tfjs-node, whose engine multiplies if its addon was linked, and a stand-in linker. */
async function project(): Promise<{ directory: string; compiler: string; python: string }> {
  const folder = "app/node_modules/@tensorflow/tfjs-node";
  await write(`${folder}/package.json`, '{"version":"4.22.0","main":"main.js"}');
  await write(
    `${folder}/main.js`,
    `if (require("node:fs").readFileSync(__dirname + "/lib/napi-v8/tfjs_binding.node", "utf8") !== "addon")
       throw new Error("bad addon");
     exports.tensor2d = (rows) => rows;
     exports.matMul = (a, b) => ({ dataSync: () => a.flatMap((r) => b[0].map((_, j) => r[0] * b[0][j] + r[1] * b[1][j])) });
     exports.getBackend = () => "tensorflow";
     exports.backend = () => ({ binding: { TF_Version: "2.21.0" } });`,
  );
  await write("app/node_modules/@mapbox/node-pre-gyp/package.json", '{"main":"main.js"}');
  await write(
    "app/node_modules/@mapbox/node-pre-gyp/main.js",
    'exports.find = (manifest) => require("node:path").join(manifest, "../lib/napi-v8/tfjs_binding.node");',
  );
  await write("node/include/node/node_api.h", "");
  vi.stubEnv("npm_config_nodedir", join(root, "node"));
  const compiler = await program("linker", 'fs.writeFileSync(args[args.indexOf("-o") + 1], "addon");');
  vi.stubEnv("CXX", compiler);
  return { directory: join(root, "app"), compiler, python: await fakePip() };
}

describe("installTensorflow", () => {
  it("says how to install tfjs-node where it is missing", async () => {
    await expect(installTensorflow({ directory: root })).rejects.toThrow(
      `${root} has no @tensorflow/tfjs-node; run "npm install @tensorflow/tfjs-node --ignore-scripts"`,
    );
  });

  it.runIf(process.platform === "linux")(
    "fetches, extracts, links and verifies once, and afterwards repeats only what was lost",
    async () => {
      const { directory, compiler, python } = await project();
      await write(wheelName, wheelBytes);
      const first = await installTensorflow({ directory, python });
      expect(first).toMatchObject({ tensorflow: "2.21.0", already: false });
      expect(await calls(compiler)).toHaveLength(1);
      expect((await calls(compiler))[0]).toContain("-l:libtensorflow_cc.so.2");

      expect(await installTensorflow({ directory, python })).toEqual({ ...first, already: true });
      expect(await calls(compiler)).toHaveLength(1);

      await writeFile(first.binding, "half an ad");
      expect((await installTensorflow({ directory, python })).already).toBe(false);
      expect(await calls(compiler)).toHaveLength(2);
      expect(await calls(python)).toHaveLength(1);
    },
  );

  it.runIf(process.platform === "linux")("takes a wheel on disk without asking pip", async () => {
    const { directory, python } = await project();
    const wheel = await write(wheelName, wheelBytes);
    expect(await installTensorflow({ directory, python, wheel })).toMatchObject({ already: false });
    expect(await calls(python)).toEqual([]);
  });

  it.runIf(process.platform === "linux")(
    "says that a compiler is needed, and goes on from there later",
    async () => {
      const { directory, compiler, python } = await project();
      await write(wheelName, wheelBytes);
      vi.stubEnv("CXX", "no-such-compiler");
      await expect(installTensorflow({ directory, python })).rejects.toThrow(
        "no-such-compiler: command not found); a C++17 compiler is needed",
      );
      vi.stubEnv("CXX", compiler);
      expect(await installTensorflow({ directory, python })).toMatchObject({ already: false });
      expect(await calls(python)).toHaveLength(1);
    },
  );

  it("reports a failure of the package's own script", async () => {
    const { directory } = await project();
    await write("app/node_modules/@tensorflow/tfjs-node/scripts/install.js", 'throw new Error("no route");');
    await expect(installTensorflow({ directory, route: "script" })).rejects.toThrow(
      /no route[\s\S]*route: "wheel"/,
    );
  });
});

describe("downloadWheel", () => {
  const quiet = () => undefined;

  it("asks pip once and keeps what it fetched", async () => {
    const python = await fakePip();
    await write(wheelName, wheelBytes);
    const folder = join(root, "download");
    const path = await downloadWheel(folder, { python }, quiet);
    expect(path).toBe(join(folder, wheelName));
    expect(await downloadWheel(folder, { python }, quiet)).toBe(path);
    expect(await calls(python)).toHaveLength(1);
    expect((await calls(python))[0]).toMatch(/^-m pip download --no-deps .* tensorflow(-cpu)?$/);
  });

  it("passes on what pip said, with the ways around it", async () => {
    const python = await program("python", 'console.error("no matching distribution"); process.exit(3);');
    await expect(downloadWheel(join(root, "download"), { python }, quiet)).rejects.toThrow(
      /exit code 3:\nno matching distribution\); name a Python that has pip/,
    );
  });
});
