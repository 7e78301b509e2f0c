/** safetensors on disk: tensors read one at a time, files written in one piece or not at all. */
import { open, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, FormatError } from "../errors.js";
import { writeFileAtomic } from "./atomic-write.js";
import { checkRawTensor, type RawTensor, type TensorInfo } from "./raw-tensor.js";
import { encodeHeader, parseHeader, readHeaderLength, type TensorEntry } from "./safetensors.js";

/** An open file, or an open set of shards that together hold one model. */
export interface SafetensorsFile {
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** dtype and shape of a tensor. Throws UnmaskError when there is none of that name. */
  info(name: string): TensorInfo;
  /** Reads one tensor from the disk. Throws UnmaskError when there is none of that name, FormatError when it was cut. */
  read(name: string): Promise<RawTensor>;
  readAll(): Promise<Map<string, RawTensor>>;
  close(): Promise<void>;
}

/** A tensor whose bytes are fetched when its turn comes to be written. */
export interface LazyTensor extends TensorInfo {
  load(): Uint8Array | Promise<Uint8Array>;
}

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/**
 * Opens a `.safetensors` file, a Hugging Face `*.index.json` file, or a folder that holds `model.safetensors` or
 * `model.safetensors.index.json`. Only headers are read; call `close` when done.
 * @throws FormatError when a header is not what the format says, or the index names a file outside its folder.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  if (path.endsWith(".json")) return openShards(path);
  if (!(await stat(path)).isDirectory()) return openOne(path);
  if (await exists(join(path, SINGLE))) return openOne(join(path, SINGLE));
  const index = join(path, INDEX);
  expect(
    await exists(index),
    `openSafetensors: expected ${SINGLE} or ${INDEX} in ${path}, found neither; name the file itself`,
  );
  return openShards(index);
}

/**
 * Writes a file atomically. A tensor given with `load` is asked for its bytes only when they are written, so a
 * model need not be in memory twice.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, RawTensor | LazyTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { header, order } = encodeHeader(tensors, metadata);
  async function* chunks() {
    yield header;
    for (const name of order) {
      const { dtype, shape, ...source } = tensors.get(name)!;
      const bytes = "load" in source ? await source.load() : source.bytes;
      checkRawTensor({ dtype, shape, bytes }, `writeSafetensors: ${name}`);
      yield bytes;
    }
  }
  await writeFileAtomic(path, chunks());
}

async function openOne(path: string): Promise<SafetensorsFile> {
  const file = await open(path, "r");
  const readAt = async (position: number, length: number) => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), position + done);
      if (bytesRead === 0)
        throw new FormatError(`safetensors: ${path} ends early; it was cut short while open`);
      done += bytesRead;
    }
    return bytes;
  };
  try {
    const { size } = await file.stat();
    const headerLength = readHeaderLength(await readAt(0, Math.min(8, size)), size);
    const start = 8 + headerLength;
    const { entries, metadata } = parseHeader(await readAt(8, headerLength), size - start);
    const read = async (name: string) => {
      const { dtype, shape, begin, end } = find(entries, name, path);
      return { dtype, shape, bytes: await readAt(start + begin, end - begin) };
    };
    return {
      names: [...entries.keys()],
      metadata,
      info(name) {
        const { dtype, shape } = find(entries, name, path);
        return { dtype, shape };
      },
      read,
      readAll: () => readEach([...entries.keys()], read),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error instanceof FormatError
      ? new FormatError(`${path}: ${error.message}`, { cause: error })
      : error;
  }
}

async function openShards(indexPath: string): Promise<SafetensorsFile> {
  const shardOf = parseIndex(await readFile(indexPath, "utf8"), indexPath);
  const shards = new Map<string, SafetensorsFile>();
  const close = async () => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    for (const name of new Set(shardOf.values()))
      shards.set(name, await openOne(join(dirname(indexPath), name)));
    for (const [name, shard] of shardOf)
      if (!shards.get(shard)!.names.includes(name))
        throw new FormatError(`${indexPath}: ${name} is said to be in ${shard}, which has no such tensor`);
  } catch (error) {
    await close();
    throw error;
  }
  const names = [...shardOf.keys()];
  const shard = (name: string) => shards.get(find(shardOf, name, indexPath))!;
  return {
    names,
    metadata: Object.assign({}, ...[...shards.values()].map(({ metadata }) => metadata)),
    info: (name) => shard(name).info(name),
    read: async (name) => shard(name).read(name),
    readAll: () => readEach(names, (name) => shard(name).read(name)),
    close,
  };
}

/** File name of the shard by tensor name. A shard must lie beside its index. */
function parseIndex(text: string, path: string): Map<string, string> {
  let map: unknown;
  try {
    map = (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map;
  } catch (error) {
    throw new FormatError(
      `${path}: not JSON (${(error as Error).message}); it is not an index of safetensors files`,
    );
  }
  if (map === null || typeof map !== "object" || Array.isArray(map))
    throw new FormatError(`${path}: expected a weight_map from tensor names to files; it is not an index`);
  for (const [name, shard] of Object.entries(map))
    if (typeof shard !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(shard))
      throw new FormatError(
        `${path}: ${name} is said to be in ${JSON.stringify(shard)}; expected the name of a .safetensors file in the same folder`,
      );
  return new Map(Object.entries(map) as [string, string][]);
}

async function readEach(
  names: readonly string[],
  read: (name: string) => Promise<RawTensor>,
): Promise<Map<string, RawTensor>> {
  const tensors = new Map<string, RawTensor>();
  for (const name of names) tensors.set(name, await read(name));
  return tensors;
}

function find<T extends TensorEntry | string>(
  entries: ReadonlyMap<string, T>,
  name: string,
  path: string,
): T {
  const entry = entries.get(name);
  expect(
    entry !== undefined,
    () =>
      `openSafetensors: ${path} has no tensor ${name}; it has ${[...entries.keys()].slice(0, 5).join(", ")} ...`,
  );
  return entry;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
