/**
 * pnpm write-docs: rewrites the parts of the documentation that repeat the code, between `<!-- generated: NAME -->` and
 * `<!-- end -->`. A test fails when they are out of date.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { audioMae, audioVit, modality as sounds } from "@unmask/audio";
import { type Method, trainSchema } from "@unmask/core";
import { mae, modality } from "@unmask/image";
import { modality as aligned, avMae, croma, mindEye, multiMae } from "@unmask/multimodal";
import {
  dgcnnClassifier,
  mae3d,
  pointCmae,
  pointMae,
  pointPartSegmenter,
  modality as points,
  pointTransformer,
} from "@unmask/pointcloud";
import { z } from "zod";
import { createProgram } from "../packages/cli/src/program.js";

const root = new URL("..", import.meta.url);

/** Pages with generated parts, and what stands in each. */
export const pages: Readonly<Record<string, Readonly<Record<string, () => string | Promise<string>>>>> = {
  "README.md": { example: () => code("examples/pretrain-images.ts") },
  "docs/methods/mae.md": { options: () => options(mae.schema), presets: () => presets(mae) },
  "docs/methods/point-mae.md": { options: () => options(pointMae.schema), presets: () => presets(pointMae) },
  "docs/methods/point-cmae.md": {
    options: () => options(pointCmae.schema),
    presets: () => presets(pointCmae),
  },
  "docs/methods/mae-3d.md": { options: () => options(mae3d.schema), presets: () => presets(mae3d) },
  "docs/methods/point-transformer.md": { options: () => options(pointTransformer.schema) },
  "docs/methods/point-part-segmenter.md": { options: () => options(pointPartSegmenter.schema) },
  "docs/methods/dgcnn-classifier.md": { options: () => options(dgcnnClassifier.schema) },
  "packages/pointcloud/README.md": { data: () => options(points.dataSchema) },
  "docs/methods/audio-mae.md": { options: () => options(audioMae.schema), presets: () => presets(audioMae) },
  "docs/methods/audio-vit.md": { options: () => options(audioVit.schema) },
  "packages/audio/README.md": { data: () => options(sounds.dataSchema) },
  "docs/methods/av-mae.md": { options: () => options(avMae.schema), presets: () => presets(avMae) },
  "docs/methods/croma.md": { options: () => options(croma.schema), presets: () => presets(croma) },
  "docs/methods/multi-mae.md": { options: () => options(multiMae.schema), presets: () => presets(multiMae) },
  "docs/methods/mind-eye.md": { options: () => options(mindEye.schema), presets: () => presets(mindEye) },
  "docs/composition.md": { data: () => options(aligned.dataSchema) },
  "docs/cli.md": { commands, data: () => options(modality.dataSchema), train: () => options(trainSchema) },
};

/** The page as it should be. */
export async function regenerate(page: string): Promise<{ now: string; wanted: string }> {
  const now = await readFile(new URL(page, root), "utf8");
  let wanted = now;
  for (const [name, generate] of Object.entries(pages[page]!)) {
    const part = new RegExp(`(<!-- generated: ${name} -->\n)[^]*?(<!-- end -->)`);
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
    const { now, wanted } = await regenerate(page);
    if (now === wanted) continue;
    await writeFile(new URL(page, root), wanted);
    console.log(`${page} rewritten`);
  }
