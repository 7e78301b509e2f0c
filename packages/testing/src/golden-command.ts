/**
 * pnpm golden [--engine NAME] [--quiet] DIR...
 * Holds our methods to recorded numbers of the reference implementations. Each DIR has golden.json and
 * golden.safetensors, or holds such folders. Adapters stand in the packages' test/goldens/ as NAME.adapter.ts.
 * Exits 1 on any miss.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { startEngine } from "@unmask/core";
import { type Comparison, compareGolden, type GoldenAdapter, readGolden } from "./golden.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { engine: { type: "string", default: "auto" }, quiet: { type: "boolean", default: false } },
});
if (positionals.length === 0) {
  console.error("usage: pnpm golden [--engine NAME] [--quiet] DIR...");
  process.exit(2);
}

const adapters = await loadAdapters();
const engine = await startEngine(values.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}`);

let missed = 0;
for (const directory of positionals.flatMap(goldenFolders)) {
  const golden = await readGolden(directory);
  const adapter = adapters.find((candidate) => candidate.accepts(golden));
  if (adapter === undefined) {
    console.log(`\n${golden.name}: MISS, no adapter for "${golden.method}"`);
    missed++;
    continue;
  }
  const rows = await compareGolden(golden, adapter);
  const misses = rows.filter((row) => !row.ok);
  missed += misses.length;
  const worst = Math.max(0, ...rows.filter((row) => row.note === undefined).map((row) => row.maxRelError));
  console.log(
    `\n${golden.name} (${golden.method}): ${rows.length - misses.length} of ${rows.length} ok, worst ${worst.toExponential(1)}`,
  );
  for (const row of values.quiet ? misses : rows) print(row);
}
process.exit(missed === 0 ? 0 : 1);

function print({ tensor, maxAbsError, maxRelError, ok, note }: Comparison): void {
  const number = (value: number) => value.toExponential(2).padStart(9);
  console.log(
    `  ${tensor.padEnd(56)} ${number(maxAbsError)} ${number(maxRelError)} ${ok ? "ok" : "MISS"}${note ? ` (${note})` : ""}`,
  );
}

/** The directory itself, or the golden folders right below it. */
function goldenFolders(directory: string): string[] {
  if (existsSync(join(directory, "golden.json"))) return [directory];
  const below = existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  const folders = below.filter((path) => existsSync(join(path, "golden.json"))).sort();
  if (folders.length === 0) {
    console.error(`pnpm golden: no golden.json in ${directory} or right below it`);
    process.exit(2);
  }
  return folders;
}

async function loadAdapters(): Promise<GoldenAdapter[]> {
  const packages = fileURLToPath(new URL("../../", import.meta.url));
  const found: GoldenAdapter[] = [];
  for (const name of readdirSync(packages)) {
    const folder = join(packages, name, "test", "goldens");
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder).filter((f) => f.endsWith(".adapter.ts")))
      found.push(...Object.values<GoldenAdapter>(await import(pathToFileURL(join(folder, file)).href)));
  }
  return found;
}
