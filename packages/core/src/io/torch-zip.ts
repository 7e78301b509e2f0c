/**
 * PyTorch checkpoints (`.pt`, `.pth`) of the zip format, which torch.save has written since 1.6: read without running
 * anything of Python, and written so that `torch.load(path, weights_only=True)` reads them.
 */
import { FormatError } from "../errors.js";
import { type ByteSource, memorySource } from "./byte-source.js";
import { unpickle } from "./pickle.js";
import type { RawTensor } from "./raw-tensor.js";
import { nameLeftovers, torchHooks } from "./torch-globals.js";
import { openZip, type ZipArchive } from "./zip.js";

/**
 * What a checkpoint holds. dict, OrderedDict and argparse.Namespace are Maps; list, tuple and torch.Size are arrays;
 * torch.device and torch.dtype are strings; NumPy scalars are numbers; integers beyond 2^53 are bigints. A container may
 * hold itself.
 */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | RawTensor
  | TorchValue[]
  | Map<TorchValue, TorchValue>
  | Set<TorchValue>;

/**
 * Reads a checkpoint from its bytes. Tensors are views of `bytes` where they lie there row-major; tensors that share a
 * storage share memory.
 * @throws FormatError when it is damaged, of the format before 1.6, or refers to anything but tensors and plain values.
 */
export function parseTorch(bytes: Uint8Array): TorchValue {
  return parseTorchSource(memorySource(bytes));
}

const WHAT = "torch checkpoint";

export function parseTorchSource(source: ByteSource): TorchValue {
  refuseOtherFormats(source);
  const zip = openZip(source, WHAT);
  const pickles = zip.names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1)
    throw new FormatError(
      `${WHAT}: expected one data.pkl in the archive, got ${pickles.length}; it was not written by torch.save`,
    );
  const root = pickles[0]!.slice(0, -"data.pkl".length);
  if (zip.has(`${root}byteorder`) && new TextDecoder().decode(zip.read(`${root}byteorder`)) !== "little")
    throw new FormatError(
      `${WHAT}: was written on a big-endian machine; save it again on a little-endian one`,
    );
  const hooks = torchHooks({ storage: storageReader(zip, root), budget: zip.budget, what: WHAT });
  return nameLeftovers(unpickle(zip.read(pickles[0]!), hooks, WHAT)) as TorchValue;
}

/** Reads each storage once, however many tensors lie in it. */
function storageReader(zip: ZipArchive, root: string): (key: string, bytes: number) => Uint8Array {
  const read = new Map<string, Uint8Array>();
  return (key, bytes) => {
    const name = `${root}data/${key}`;
    const size = zip.sizeOf(name);
    if (size !== bytes)
      throw new FormatError(`${WHAT}: ${name} has ${size} bytes, expected ${bytes}; the file is damaged`);
    let storage = read.get(key);
    if (storage === undefined) read.set(key, (storage = zip.read(name)));
    return storage;
  };
}

function refuseOtherFormats(source: ByteSource): void {
  const start = source.read(0, Math.min(4, source.size));
  if (start[0] === 0x50 && start[1] === 0x4b) return;
  const legacy = start[0] === 0x80 && start[1]! <= 5;
  throw new FormatError(
    legacy
      ? `${WHAT}: is of the format before PyTorch 1.6; load it in Python and save it again: torch.save(torch.load(path, weights_only=True), path)`
      : `${WHAT}: is not a zip archive; expected a .pt or .pth file written by torch.save`,
  );
}

/** Where training scripts put the weights, in the order tried. */
const STATE_DICT_KEYS = ["model", "state_dict", "module", "base_model"] as const;

/**
 * The state dict in a checkpoint: under `model`, `state_dict`, `module` or `base_model`, or the checkpoint itself;
 * where it holds nothing but state dicts, theirs together, each name after the dict's. Entries that are no tensors are left out; a `module.` that begins every name (DataParallel) is taken off.
 * @throws FormatError when none of them holds tensors by name.
 */
export function findStateDict(value: TorchValue): Map<string, RawTensor> {
  if (!(value instanceof Map))
    throw new FormatError("findStateDict: expected a dict at the top of the checkpoint; save a state dict");
  for (const candidate of [...STATE_DICT_KEYS.map((key) => value.get(key)), value]) {
    const tensors = candidate instanceof Map ? namedTensors(candidate) : [];
    if (tensors.length === 0) continue;
    const wrapped = tensors.every(([name]) => name.startsWith("module."));
    return new Map(wrapped ? tensors.map(([name, raw]) => [name.slice("module.".length), raw]) : tensors);
  }
  const parts = [...value].map(([key, part]) =>
    (part instanceof Map ? namedTensors(part) : []).map(
      ([name, raw]) => [`${String(key)}.${name}`, raw] as const,
    ),
  );
  if (parts.length > 0 && parts.every((part) => part.length > 0)) return new Map(parts.flat()); // a dict of state dicts
  const keys = [...value.keys()]
    .filter((key) => typeof key === "string")
    .slice(0, 8)
    .join(", ");
  throw new FormatError(
    `findStateDict: expected tensors by name under ${STATE_DICT_KEYS.join(", ")} or at the top, got the keys ${keys || "of an empty dict"}; pick the state dict yourself`,
  );
}

function namedTensors(map: ReadonlyMap<TorchValue, TorchValue>): [string, RawTensor][] {
  const tensors: [string, RawTensor][] = [];
  for (const [name, value] of map)
    if (typeof name === "string" && isRawTensor(value)) tensors.push([name, value]);
  return tensors;
}

/** Whether a value of a checkpoint is a tensor. */
export function isRawTensor(value: TorchValue | undefined): value is RawTensor {
  return value !== null && typeof value === "object" && "dtype" in value && "shape" in value;
}
