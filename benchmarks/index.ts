/** pnpm bench NAME [options]: runs benchmarks/NAME.ts; without a name, lists them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const [, , name, ...rest] = process.argv;
const names = readdirSync(folder).flatMap((file) =>
  file.endsWith(".ts") && file !== "index.ts" ? [file.slice(0, -3)] : [],
);
if (name === undefined || !names.includes(name)) {
  for (const each of names)
    console.log(
      readFileSync(`${folder}${each}.ts`, "utf8").match(/pnpm bench [^\n*]*/)?.[0] ?? `pnpm bench ${each}`,
    );
  process.exit(name === undefined ? 0 : 2);
}
process.argv = [process.argv[0]!, `${folder}${name}.ts`, ...rest];
await import(pathToFileURL(`${folder}${name}.ts`).href);
