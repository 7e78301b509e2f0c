/** Files of other libraries: state dicts and the JSON beside them. */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { type ForeignModel, findStateDict, UnmaskError } from "@unmask/core";
import {
  openSafetensors,
  readTorchFile,
  writeFileAtomic,
  writeSafetensors,
  writeTorchFile,
} from "@unmask/core/node";
import { UsageError } from "./errors.js";

const TORCH = [".pth", ".pt", ".bin"];

/** A `.pth`, `.pt`, `.bin` or `.safetensors` file, or a folder that holds one; and the JSON beside it. */
export async function readForeign(path: string): Promise<ForeignModel> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new UnmaskError(`import: there is no ${path}`);
  if (!found.isDirectory()) {
    const fromFolder = /^(pytorch_)?model\./.test(basename(path)); // as transformers and timm name it
    return { parameters: await readStateDict(path), json: fromFolder ? await readJson(dirname(path)) : {} };
  }
  const names = await readdir(path);
  const torch = names.find((name) => TORCH.includes(extname(name)));
  const safe = names.some((name) => name.endsWith(".safetensors"));
  const parameters = await readStateDict(!safe && torch !== undefined ? join(path, torch) : path);
  return { parameters, json: await readJson(path) };
}

async function readJson(folder: string): Promise<Record<string, unknown>> {
  const json: Record<string, unknown> = {};
  for (const name of ["config.json", "preprocessor_config.json", "tokenizer.json"]) {
    const path = join(folder, name);
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) json[name] = parseJson(text, path);
  }
  return json;
}

async function readStateDict(path: string): Promise<ForeignModel["parameters"]> {
  if (TORCH.includes(extname(path))) return findStateDict(await readTorchFile(path));
  const file = await openSafetensors(path);
  try {
    return await file.readAll();
  } finally {
    await file.close();
  }
}

/** Writes a state dict as the extension of `path` says: torch's `{"model": ...}`, as the official code has it, or safetensors. */
export async function writeStateDict(path: string, { parameters }: ForeignModel): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  switch (extname(path)) {
    case ".pth":
    case ".pt":
      return writeTorchFile(path, parameters, { key: "model" });
    case ".safetensors":
      return writeSafetensors(path, parameters, { format: "pt" });
    default:
      throw new UsageError(`--out ${path}: expected a name that ends in .pth, .pt or .safetensors`);
  }
}

/** Writes model.safetensors and the JSON files; the config last, so that a folder with one is whole. */
export async function writeForeignFolder(
  path: string,
  { parameters, json = {} }: ForeignModel,
): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeSafetensors(join(path, "model.safetensors"), parameters, { format: "pt" });
  for (const [name, value] of Object.entries(json).reverse())
    await writeFileAtomic(join(path, name), `${JSON.stringify(value, null, 2)}\n`);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnmaskError(`import: ${path} is not JSON: ${(error as Error).message}`);
  }
}
