// What tests of an installation share: an empty project into which npm installs packages as publishing would upload them.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pnpm } from "./workspace.mjs";

const project = mkdtempSync(join(realpathSync(tmpdir()), "unmask-install-"));
process.on("exit", () => rmSync(project, { recursive: true, force: true }));

/** A path in the project. */
export const inProject = (...path) => join(project, ...path);

/** Packs packages of this workspace, installs the tarballs, and sees that no other package of ours came with them. */
export async function installPacked(names) {
  const tarballs = [];
  for (const name of names) tarballs.push(await pack(name));
  writeFileSync(inProject("package.json"), JSON.stringify({ private: true, type: "module" }));
  succeed("npm", ["install", ...tarballs, "@tensorflow/tfjs@^4.22.0", "--no-audit", "--no-fund"]);
  const found = readdirSync(inProject("node_modules", "@unmask")).map((name) => `@unmask/${name}`);
  const wanted = names.filter((name) => name !== "unmask");
  expect(
    found.sort().join() === wanted.sort().join(),
    `installed ${found.join(", ")}; expected ${wanted.join(", ")} alone`,
  );
}

/** The tarball that publishing would upload. */
async function pack(name) {
  const directory = inProject("tarballs");
  mkdirSync(directory, { recursive: true });
  const before = new Set(readdirSync(directory));
  const { code, output } = await pnpm(["--filter", name, "pack", "--pack-destination", directory], {
    quiet: true,
  });
  const made = readdirSync(directory).find((file) => !before.has(file));
  expect(code === 0 && made !== undefined, `pnpm pack of ${name}: ${output}`);
  return join(directory, made);
}

/** Runs a program in the project to its end; returns its exit code and what it printed. */
export function runInProject(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: project,
    encoding: "utf8",
    shell: process.platform === "win32" && command === "npm", // npm is a .cmd there
  });
  return { status: status ?? String(error), printed: `${stdout}\n${stderr}` };
}

/** As {@link runInProject}, of a program that has to succeed; returns what it printed. */
export function succeed(command, args) {
  const { status, printed } = runInProject(command, args);
  expect(status === 0, `${command} ${args.join(" ")} ended with ${status}:\n${printed}`);
  return printed;
}

/** The project's own command. */
export const unmask = (...args) =>
  runInProject(process.execPath, [join("node_modules", "unmask", "dist", "index.js"), ...args]);

/** Asks the command for what needs a package that is not installed. */
export function expectMissing(args, message) {
  const { status, printed } = unmask(...args);
  expect(
    status === 1 && printed.includes(message),
    `unmask ${args.join(" ")} was to end with "${message}"; it ended with ${status}:\n${printed}`,
  );
}

export function expect(condition, message) {
  if (condition) return;
  console.error(message);
  process.exit(1);
}
