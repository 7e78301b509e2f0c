/**
 * A config as users write it: sections `model`, `data` and `train`, and the names of method and preset. Where one thing is
 * said twice the later of these counts: the config file, `--set`, explicit flags.
 */
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { UsageError } from "../errors.js";
import { didYouMean } from "./nearest.js";

const SECTIONS = ["model", "data", "train"] as const;
export type Section = (typeof SECTIONS)[number];
export type SectionKeys = Readonly<Record<Section, readonly string[] | undefined>>;

type Keys = Record<string, unknown>;

export interface ConfigFile {
  readonly method?: string;
  readonly preset?: string;
  readonly sections: Readonly<Record<Section, Keys>>;
}

const keys = z.record(z.string(), z.unknown()).default({});
const fileSchema = z.strictObject({
  method: z.string().optional(),
  preset: z.string().optional(),
  model: keys,
  data: keys,
  train: keys,
});

/** Reads YAML or JSON, which is YAML. */
export async function readConfigFile(path: string | undefined): Promise<ConfigFile> {
  if (path === undefined) return { sections: { model: {}, data: {}, train: {} } };
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new UsageError(`--config ${path}: ${error.message}`);
  });
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new UsageError(`${path}: not YAML or JSON: ${(error as Error).message.split("\n")[0]}`);
  }
  for (const key of Object.keys(Object(value)))
    if (!Object.hasOwn(fileSchema.shape, key))
      throw new UsageError(`${path}: unknown key ${key}${didYouMean(key, Object.keys(fileSchema.shape))}`);
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UsageError(`${path}: ${issue?.path.join(".") || "config"}: ${issue?.message}`);
  }
  const { method, preset, ...sections } = parsed.data;
  return { method, preset, sections };
}

/** Throws where a section holds a key that is not one of its known ones. */
export function checkKeys(
  where: string,
  sections: Readonly<Record<Section, Keys>>,
  known: SectionKeys,
): void {
  for (const section of SECTIONS)
    for (const key of Object.keys(sections[section]))
      if (known[section] !== undefined && !known[section].includes(key))
        throw new UsageError(`${where}: unknown key ${section}.${key}${didYouMean(key, known[section])}`);
}

/**
 * Applies `--set key=value` to the sections. Values are YAML: numbers, true, [64, 64]. `model.maskRatio` names its
 * section; a bare key is looked up in all of them.
 */
export function applySettings(
  settings: readonly string[],
  sections: Readonly<Record<Section, Keys>>,
  known: SectionKeys,
): Record<Section, Keys> {
  const result = structuredClone(sections) as Record<Section, Keys>;
  for (const setting of settings) {
    const [, path, text] = setting.match(/^([^=]+)=(.*)$/s) ?? [];
    if (path === undefined || text === undefined)
      throw new UsageError(`--set ${setting}: expected key=value, for example --set maskRatio=0.6`);
    const { section, rest } = locate(path, known);
    let value: unknown;
    try {
      value = parse(text);
    } catch {
      value = text;
    }
    assignPath(result[section], rest, value, setting);
  }
  return result;
}

function locate(path: string, known: SectionKeys): { section: Section; rest: string[] } {
  const parts = path.split(".");
  const named = SECTIONS.find((section) => section === parts[0] && parts.length > 1);
  if (named !== undefined) {
    const keysOfSection = known[named];
    if (keysOfSection !== undefined && !keysOfSection.includes(parts[1]!))
      throw new UsageError(
        `--set ${path}: unknown key ${named}.${parts[1]}${didYouMean(parts[1]!, keysOfSection)}`,
      );
    return { section: named, rest: parts.slice(1) };
  }
  const having = SECTIONS.filter((section) => known[section]?.includes(parts[0]!));
  if (having.length > 1)
    throw new UsageError(
      `--set ${path}: ${having.join(" and ")} both have ${parts[0]}; write ${having.map((s) => `${s}.${path}`).join(" or ")}`,
    );
  const [section] = having;
  if (section === undefined) {
    const all = SECTIONS.flatMap((name) => (known[name] ?? []).map((key) => `${name}.${key}`));
    const bare = all.map((full) => full.slice(full.indexOf(".") + 1));
    throw new UsageError(`--set ${path}: unknown key ${parts[0]}${didYouMean(parts[0]!, bare)}`);
  }
  return { section, rest: parts };
}

function assignPath(target: Keys, path: readonly string[], value: unknown, setting: string): void {
  const [key, ...rest] = path as [string, ...string[]];
  if (["__proto__", "constructor", "prototype"].includes(key))
    throw new UsageError(`--set ${setting}: ${key} is no key`);
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key] ?? {};
  if (typeof inner !== "object" || Array.isArray(inner))
    throw new UsageError(`--set ${setting}: ${key} holds a value, no keys`);
  target[key] = inner;
  assignPath(inner as Keys, rest, value, setting);
}

/** Top-level keys of an object schema; undefined where it is none. */
export function schemaKeys(schema: z.ZodType): readonly string[] | undefined {
  const { shape } = schema as { shape?: object };
  return shape && Object.keys(shape);
}
