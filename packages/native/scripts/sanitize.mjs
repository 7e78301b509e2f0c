// node scripts/sanitize.mjs [address | thread] [TEST...]
//
// Compiles the addon with AddressSanitizer and UndefinedBehaviorSanitizer and runs its tests on it, once for every
// instruction set of the machine. Compiles the kernels and the thread pool with ThreadSanitizer into the program
// test/pool.cc, which has two threads compute on one pool, and runs that; in Node it would report V8's own threads, whose
// atomic counts it cannot see, whenever a worker starts. Linux with GCC. Without an argument both.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const [kind, ...tests] = process.argv.slice(2);
const headers = join(dirname(process.execPath), "..", "include", "node");

if (kind === undefined || kind === "address") address();
if (kind === undefined || kind === "thread") thread();

function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, { stdio: "inherit", cwd: root, ...options });
  if (status === 0) return;
  console.error(`${command} ${args.join(" ")}: ${error?.message ?? signal ?? `exit code ${status}`}`);
  process.exit(1);
}

function address() {
  const place = join(root, "build", "sanitized");
  mkdirSync(place, { recursive: true });
  for (const entry of ["binding.gyp", "package.json", "cpp"])
    cpSync(join(root, entry), join(place, entry), { recursive: true, preserveTimestamps: true });
  const gyp = join(dirname(require.resolve("node-gyp/package.json")), "bin", "node-gyp.js");
  const local = existsSync(join(headers, "node_api.h")) ? [`--nodedir=${resolve(headers, "../..")}`] : [];
  const env = { ...process.env, UNMASK_SANITIZE: "address,undefined" };
  for (const step of ["configure", "build"])
    run(process.execPath, [gyp, step, `--directory=${place}`, "--jobs=max", ...local], { env });
  const suites = readdirSync(join(root, "test"))
    .filter((name) => name.endsWith(".test.ts") && !/^(isa|tfjs-suite)\./.test(name))
    .map((name) => `packages/native/test/${name}`);
  for (const isa of instructionSets(place))
    run("pnpm", ["exec", "vitest", "run", ...(tests.length > 0 ? tests : suites)], {
      cwd: resolve(root, "..", ".."),
      env: { ...sanitized(place), UNMASK_ISA: isa },
    });
}

/** The environment in which Node loads the sanitized addon; V8 frees nothing when it ends, so leaks are not looked for. */
function sanitized(place) {
  return {
    ...process.env,
    "@UNMASK/NATIVE_PREBUILD": place, // where node-gyp-build looks
    LD_PRELOAD: [library("libasan.so"), library("libubsan.so")].join(":"),
    ASAN_OPTIONS: "detect_leaks=0",
    UBSAN_OPTIONS: "print_stacktrace=1",
  };
}

function library(name) {
  return spawnSync(process.env.CC ?? "gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).stdout.trim();
}

function instructionSets(place) {
  const works = (isa) =>
    spawnSync(process.execPath, ["-e", "require('node-gyp-build')(process.argv[1])", root], {
      cwd: root,
      env: { ...sanitized(place), UNMASK_ISA: isa },
    }).status === 0;
  const found = ["avx512", "avx2", "baseline"].filter(works);
  if (found.length > 0) return found;
  console.error("the sanitized addon does not load");
  return process.exit(1);
}

function thread() {
  const kernels = readdirSync(join(root, "cpp", "kernels")).filter(
    (name) => name.endsWith(".cc") && name !== "exports.cc",
  );
  const sources = [
    ...["test/pool.cc", "cpp/memory.cc", "cpp/threads.cc"],
    ...kernels.map((name) => `cpp/kernels/${name}`),
  ];
  mkdirSync(join(root, "build", "sanitized"), { recursive: true });
  const program = join(root, "build", "sanitized", "pool");
  const flags =
    "-std=c++20 -O1 -g -fsanitize=thread -fno-omit-frame-pointer -fno-exceptions -fno-rtti -Wno-psabi";
  const defines = ["-DUNMASK_ISA=baseline", "-DUNMASK_WIDTH=4", "-DUNMASK_REGISTERS=16", "-DNAPI_VERSION=8"];
  const include = ["-Icpp", `-I${headers}`];
  run(process.env.CXX ?? "g++", [...flags.split(" "), ...defines, ...include, ...sources, "-o", program]);
  run(program, [], { env: { ...process.env, TSAN_OPTIONS: "halt_on_error=1" } });
}
