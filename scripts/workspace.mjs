// What the commands of a bare machine share: the workspace's pnpm, which npx fetches where it is not at hand, and steps
// that say what they do and how long it took. Needs Node 20 and npm, nothing installed.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const windows = process.platform === "win32";

/** Programs that were started and still run; a second Ctrl-C kills them. */
const running = new Set();
let interrupted = false;

for (const signal of ["SIGINT", "SIGTERM"])
  process.on(signal, () => {
    // Ctrl-C reaches the programs too, and they end in their own way: training saves before it does.
    if (signal === "SIGTERM" || interrupted) for (const child of running) child.kill(signal);
    interrupted = true;
  });

/** Ends this process when the user asked for it. */
function stopIfInterrupted() {
  if (interrupted) process.exit(130);
}

/**
 * Runs a program in the workspace; resolves to its exit code and, where `quiet`, its output.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ quiet?: boolean, cwd?: string, env?: Record<string, string>, onLine?: (line: string) => void }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run(command, args, { quiet = false, cwd = root, env = {}, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", ...env },
      shell: windows, // npx is a .cmd there
      stdio: ["inherit", quiet || onLine ? "pipe" : "inherit", quiet ? "pipe" : "inherit"],
    });
    running.add(child);
    let output = "";
    const take = (chunk) => {
      output += chunk;
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    if (onLine && !quiet) child.stdout.pipe(process.stdout);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      running.delete(child);
      stopIfInterrupted();
      resolve({ code: signal === null ? code : 1, output });
    });
  });
}

/** Runs the workspace's pnpm. */
export async function pnpm(args, options) {
  const [command, ...first] = await findPnpm();
  return run(command, [...first, ...args], options);
}

let found;
function findPnpm() {
  found ??= (async () => {
    const wanted = manifest.packageManager.split("@")[1];
    const { code, output } = await run("pnpm", ["--version"], { quiet: true }).catch(() => ({
      code: 1,
      output: "",
    }));
    return code === 0 && output.trim() === wanted ? ["pnpm"] : ["npx", "--yes", `pnpm@${wanted}`];
  })();
  return found;
}

/** Says what is done, does it, says how long it took; on failure prints the output and ends. */
export async function step(title, work) {
  const start = Date.now();
  process.stdout.write(`${title} ... `);
  const { code, output } = await work();
  const seconds = ((Date.now() - start) / 1000).toFixed(0);
  if (code === 0) return void console.log(`${seconds} s`);
  console.log(`failed after ${seconds} s\n${output}`);
  process.exit(1);
}

/** Installs the packages of the lockfile. */
export const install = () =>
  step("installing packages", () =>
    pnpm(["install", "--frozen-lockfile", "--reporter=append-only"], { quiet: true }),
  );

/** Builds every package, or takes what was built from the same sources. */
export const build = () =>
  step("building", () => pnpm(["build", "--output-logs=errors-only"], { quiet: true }));
