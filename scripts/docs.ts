/**
 * pnpm write-docs: rewrites the parts of the documentation that repeat the code, between `<!-- generated: NAME -->` and
 * `<!-- end -->`. A test fails when they are out of date.
 */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { modality as audio } from "@unmask/audio";
import { type Method, type ModalityPackage, trainSchema } from "@unmask/core";
import { modality as graph } from "@unmask/graph";
import { modality as image } from "@unmask/image";
import { modality as multimodal } from "@unmask/multimodal";
import { modality as pointcloud } from "@unmask/pointcloud";
import { modality as video } from "@unmask/video";
import { z } from "zod";
import { createProgram } from "../packages/cli/src/program.js";

const root = new URL("..", import.meta.url);

const packages: readonly ModalityPackage[] = [image, video, audio, pointcloud, graph, multimodal];

type Parts = Readonly<Record<string, () => string | Promise<string>>>;

/** Pages with generated parts, and what stands in each: one for every method of every package, and a few more. */
export const pages: Readonly<Record<string, Parts>> = {
  "README.md": { example: () => code("examples/pretrain-images.ts") },
  "docs/cli.md": { commands, data: () => options(image.dataSchema), train: () => options(trainSchema) },
  "docs/methods/README.md": { methods: () => packages.map(methodTable).join("\n\n") },
  "docs/composition.md": { data: () => options(multimodal.dataSchema) },
  ...Object.fromEntries(
    [video, audio, graph, pointcloud].map(({ name, dataSchema }) => [
      `packages/${name}/README.md`,
      { data: () => options(dataSchema) },
    ]),
  ),
  ...Object.fromEntries(
    packages
      .flatMap(({ methods }) => methods)
      .map((method) => [`docs/methods/${method.id}.md`, partsOf(method)]),
  ),
};

function methodTable({ name, methods }: ModalityPackage): string {
  const rows = methods.map(({ id, summary }) => `| [\`${id}\`](${id}.md) | ${summary} |`);
  return [`## @unmask/${name}`, "", "| method | what it is |", "| --- | --- |", ...rows].join("\n");
}

function partsOf(method: Method): Parts {
  const all = { options: () => options(method.schema) };
  return Object.keys(method.presets).length === 0 ? all : { ...all, presets: () => presets(method) };
}

/** The page as it should be. */
export async function regenerate(page: string): Promise<{ now: string; wanted: string }> {
  const now = await readFile(new URL(page, root), "utf8");
  let wanted = now;
  for (const [name, generate] of Object.entries(pages[page]!)) {
    const part = new RegExp(`(<!-- generated: ${name} -->\n)[^]*?(<!-- end -->)`);
    if (!part.test(wanted) && name === "presets") continue; // sizes that say nothing of their own
    if (!part.test(wanted)) throw new Error(`${page}: no <!-- generated: ${name} --> ... <!-- end -->`);
    const text = await generate();
    wanted = wanted.replace(part, (_, begin: string, end: string) => `${begin}\n${text}\n\n${end}`);
  }
  return { now, wanted };
}

/** A file without the comment at its top. */
async function code(path: string): Promise<string> {
  const text = await readFile(new URL(path, root), "utf8");
  return `\`\`\`ts\n${text.replace(/^(\/\/.*\n)+/, "").trim()}\n\`\`\``;
}

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly prefixItems?: readonly JsonSchema[];
  readonly items?: JsonSchema | false;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

/** A row for each key of an object schema. */
function options(schema: z.ZodType): string {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
  const defaults = schema.parse({}) as Readonly<Record<string, unknown>>;
  const rows = Object.entries(properties).map(([key, property]) => [
    `\`${key}\``,
    typeText(property),
    defaults[key] === undefined ? "" : `\`${JSON.stringify(defaults[key])}\``,
    property.description ?? "",
  ]);
  return table(["key", "type", "default", "meaning"], rows);
}

function typeText(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.anyOf) return schema.anyOf.map(typeText).join(" or ");
  if (schema.prefixItems) return `[${schema.prefixItems.map(typeText).join(", ")}]`;
  if (schema.items) return `list of ${typeText(schema.items)}`;
  if (schema.properties)
    return `{ ${Object.entries(schema.properties)
      .map(([key, value]) => `${key}: ${typeText(value)}`)
      .join(", ")} }`;
  return schema.type ?? "any";
}

/** A row for each preset, a column for each key that a preset sets. */
function presets({ presets }: Pick<Method, "presets">): string {
  const keys = [...new Set(Object.values(presets).flatMap((preset) => Object.keys(preset)))];
  const rows = Object.entries(presets).map(([name, preset]) => [
    `\`${name}\``,
    ...keys.map((key) => JSON.stringify((preset as Readonly<Record<string, unknown>>)[key]) ?? ""),
  ]);
  return table(["preset", ...keys], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What `--help` says of every command. */
function commands(): string {
  const help = (command: ReturnType<typeof createProgram>): string => {
    let text = "";
    command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 100 });
    command.outputHelp();
    return text.trim();
  };
  const section = (command: ReturnType<typeof createProgram>, name: string): string =>
    command.commands.length > 0 && name !== "unmask"
      ? command.commands.map((sub) => section(sub as typeof command, `${name} ${sub.name()}`)).join("\n\n")
      : `### ${name}\n\n\`\`\`\n${help(command)}\n\`\`\``;
  const program = createProgram(() => undefined);
  return [
    section(program, "unmask"),
    ...program.commands.map((command) => section(command as typeof program, `unmask ${command.name()}`)),
  ].join("\n\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const page of Object.keys(pages)) {
    if (!existsSync(new URL(page, root))) {
      console.error(`${page} is missing`);
      process.exitCode = 1;
      continue;
    }
    const { now, wanted } = await regenerate(page);
    if (now === wanted) continue;
    await writeFile(new URL(page, root), wanted);
    console.log(`${page} rewritten`);
  }
