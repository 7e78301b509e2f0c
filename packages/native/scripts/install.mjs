// Runs when the package is installed: a prebuilt addon that fits is used, else it is compiled. A machine without a
// compiler keeps a working install; the engine then says why it is missing and another one is taken.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const rebuild = process.argv.includes("--rebuild");

if (!rebuild && (await loads())) process.exit(0);
const failure = compile();
if (failure === undefined) process.exit(0);
console.error(`@unmask/native: no prebuilt addon fits ${process.platform}-${process.arch} and it could not be compiled (${failure}).
The engine "native" will be unavailable and a slower one is used. To have it, install a C++20 compiler, make and
python3, then run: npm rebuild @unmask/native`);
process.exit(rebuild ? 1 : 0);

async function loads() {
  try {
    return require("node-gyp-build")(root).interface === require("../cpp/interface.json");
  } catch {
    return false;
  }
}

/** Compiles; returns what went wrong, if anything. */
function compile() {
  const headers = resolve(dirname(process.execPath), "..");
  const local = existsSync(join(headers, "include", "node", "node_api.h"));
  const gyp = join(dirname(require.resolve("node-gyp/package.json")), "bin", "node-gyp.js");
  const args = [gyp, "rebuild", `--jobs=max`, ...(local ? [`--nodedir=${headers}`] : [])];
  const { status, error } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : `node-gyp exited with ${status}`;
}
