/** What samples are made of, before anything is decoded: lines of a manifest, or files of the same name in paired folders. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { expect, FormatError } from "@unmask/core";
import { z } from "zod";

/** A part of a sample: a file, a text, or the values themselves. */
export type PartSource =
  | { readonly file: string }
  | { readonly text: string }
  | { readonly values: readonly number[]; readonly shape: readonly number[] };

export interface ListedSample {
  readonly name: string;
  readonly parts: Readonly<Record<string, PartSource>>;
  readonly label?: string | number;
}

const partSchema = z.union([
  z.string(),
  z.array(z.number()),
  z.strictObject({ text: z.string() }),
  z.strictObject({ values: z.array(z.number()), shape: z.array(z.int().positive()).min(1) }),
]);
const lineSchema = z
  .object({ label: z.union([z.string(), z.number()]).nullish(), name: z.string().optional() })
  .catchall(partSchema.nullish());

/**
 * Samples of a manifest (`.jsonl`: an object a line, each key a modality and each value a path beside the manifest, a list
 * of numbers, `{"values", "shape"}` or `{"text"}`; `label` and `name` are no modalities; what a sample lacks is left out or
 * null) or of a folder of folders (each a modality, files of the same name belonging together).
 * @param names modality by the key or folder that holds it, where the two differ
 */
export function listSamples(source: string, names: Readonly<Record<string, string>> = {}): ListedSample[] {
  const stats = statSync(source, { throwIfNoEntry: false });
  expect(
    stats !== undefined,
    `multimodal: there is no ${source}; give a manifest (.jsonl) or a folder with a folder for each modality`,
  );
  const samples = stats.isDirectory() ? pairedFolders(source) : manifest(source);
  const wanted = Object.entries(names);
  if (wanted.length === 0) return samples;
  return samples.map((sample) => {
    const parts = wanted.flatMap(([name, key]) => (sample.parts[key] ? [[name, sample.parts[key]]] : []));
    return { ...sample, parts: Object.fromEntries(parts) };
  });
}

function manifest(path: string): ListedSample[] {
  const folder = dirname(resolve(path));
  const lines = readFileSync(path, "utf8").split("\n");
  const samples = lines.flatMap((line, i) => (line.trim() === "" ? [] : [listed(line, i, path, folder)]));
  expect(samples.length > 0, `multimodal: ${path} holds no sample; write one JSON object a line`);
  return samples;
}

function listed(line: string, index: number, path: string, folder: string): ListedSample {
  const where = `${path}:${index + 1}`;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new FormatError(`${where}: not JSON: ${(error as Error).message}`);
  }
  const parsed = lineSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FormatError(
      `${where}: ${issue?.path.join(".") || "line"}: expected a path, numbers, {"values", "shape"} or {"text"}`,
    );
  }
  const { label, name, ...given } = parsed.data;
  const parts: Record<string, PartSource> = {};
  for (const [key, part] of Object.entries(given)) {
    if (part === null || part === undefined) continue;
    if (typeof part === "string") parts[key] = { file: resolve(folder, part) };
    else if (Array.isArray(part)) parts[key] = { values: part, shape: [part.length] };
    else parts[key] = part as PartSource;
  }
  return { name: name ?? where, parts, ...(label !== null && label !== undefined && { label }) };
}

function pairedFolders(folder: string): ListedSample[] {
  const byStem = new Map<string, Record<string, PartSource>>();
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name)
    .sort();
  for (const modality of names)
    for (const file of readdirSync(join(folder, modality), { withFileTypes: true })) {
      if (!file.isFile() || file.name.startsWith(".")) continue;
      const stem = file.name.slice(0, file.name.length - extname(file.name).length);
      const parts = byStem.get(stem) ?? {};
      expect(
        parts[modality] === undefined,
        () => `multimodal: ${join(folder, modality)} has two files named ${stem}; one sample has one of them`,
      );
      parts[modality] = { file: join(folder, modality, file.name) };
      byStem.set(stem, parts);
    }
  expect(
    byStem.size > 0,
    `multimodal: ${folder} has no folders with files; expected one for each modality, files of a sample having the same name`,
  );
  return [...byStem].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, parts]) => ({ name, parts }));
}
