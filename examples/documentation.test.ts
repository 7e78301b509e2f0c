/** What the documentation shows is there: names that its code imports, and commands with their options and settings. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ModalityPackage } from "@unmask/core";
import { expect, it } from "vitest";
import { readRequest } from "../packages/cli/src/config/request.js";
import { createProgram } from "../packages/cli/src/program.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const documents = [
  "README.md",
  ...readdirSync(`${root}docs`, { recursive: true, encoding: "utf8" }).map((file) => `docs/${file}`),
  ...readdirSync(`${root}packages`).map((name) => `packages/${name}/README.md`),
].filter((file) => file.endsWith(".md") && existsSync(root + file));

const found = (pattern: RegExp) =>
  documents.flatMap((document) =>
    [...readFileSync(root + document, "utf8").matchAll(pattern)].map((match) => ({ document, match })),
  );

it("names nothing that is not there", async () => {
  const imports = found(/^import \{([^}]*)\} from "(@unmask\/[^"]+)";/gm);
  expect(imports.length).toBeGreaterThan(50);
  const missing: string[] = [];
  for (const { document, match } of imports) {
    const [, names = "", specifier = ""] = match;
    const exported: object = await import(specifier);
    for (const name of names.split(",").map((one) => one.trim()))
      if (!/^type |^$/.test(name) && !(name in exported))
        missing.push(`${document}: ${name} of ${specifier}`);
  }
  expect(missing).toEqual([]);
});

it("gives commands that the program takes", async () => {
  const lines = found(/^npx unmask ((?:.*\\\n)*.*)$/gm);
  expect(lines.length).toBeGreaterThan(40);
  for (const { document, match } of lines) {
    const words = match[1]!.replace(/\s#.*$/, "").match(/'[^']*'|[^\s\\]+/g)!;
    const args = words.map((word) => word.replace(/^'|'$/g, ""));
    const given = parse(args, `${document}: unmask ${args.join(" ")}`);
    if (args[0] !== "pretrain") continue;
    const { modality } = (await import(`@unmask/${args[1]}`)) as { modality: ModalityPackage };
    await expect(readRequest(modality, given), args.join(" ")).resolves.toBeDefined();
  }
});

/** The options that the program reads from a command line; throws where there is no such command or option. */
function parse(args: readonly string[], line: string): Record<string, unknown> {
  let read: Record<string, unknown> | undefined;
  const prepare = (command: ReturnType<typeof createProgram>) => {
    command.exitOverride().configureOutput({ writeErr: () => undefined });
    if (command.commands.length === 0)
      command.action((...of: unknown[]) => {
        read = of.at(-2) as Record<string, unknown>;
      });
    for (const sub of command.commands) prepare(sub as typeof command);
  };
  const program = createProgram(() => undefined);
  prepare(program);
  expect(() => program.parse(args, { from: "user" }), line).not.toThrow();
  return read!;
}
