/** Code in the documentation imports what the packages export. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const documents = [
  "README.md",
  ...readdirSync(`${root}docs`, { recursive: true, encoding: "utf8" }).map((file) => `docs/${file}`),
  ...readdirSync(`${root}packages`).map((name) => `packages/${name}/README.md`),
].filter((file) => file.endsWith(".md") && existsSync(root + file));

const imports = documents.flatMap((document) => {
  const code = readFileSync(root + document, "utf8");
  const found = code.matchAll(/^import \{([^}]*)\} from "(@unmask\/[^"]+)";/gm);
  return [...found].map(([, names, specifier]) => ({ document, specifier: specifier!, names: names! }));
});

it("names nothing that is not there", async () => {
  expect(imports.length).toBeGreaterThan(50);
  const missing: string[] = [];
  for (const { document, specifier, names } of imports) {
    const exported: object = await import(specifier);
    for (const name of names.split(",").map((one) => one.trim()))
      if (!/^type |^$/.test(name) && !(name in exported))
        missing.push(`${document}: ${name} of ${specifier}`);
  }
  expect(missing).toEqual([]);
});
