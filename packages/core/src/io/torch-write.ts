/** Writes state dicts as torch.save does: a zip archive of one pickle and one entry for each tensor. */

import { concatBytes } from "./byte-source.js";
import { checkRawTensor, type RawTensor, rowMajorStrides } from "./raw-tensor.js";
import { STORAGE_DTYPES, TORCH_DTYPES } from "./torch-globals.js";
import { encodeZip, type ZipEntry } from "./zip-write.js";

export interface TorchZipOptions {
  /** Put the state dict under this key of a dict, as official MAE checkpoints do under `model`. Default: at the top. */
  readonly key?: string;
}

/**
 * The bytes of a checkpoint: `torch.load(path, weights_only=True)` gives an OrderedDict of tensors in the Map's order.
 * At most 4 GiB. The same tensors always give the same bytes.
 */
export function encodeTorchZip(
  stateDict: ReadonlyMap<string, RawTensor>,
  options: TorchZipOptions = {},
): Uint8Array {
  return concatBytes(torchZipChunks(stateDict, options));
}

/** The same in pieces, for writing to a file. */
export function torchZipChunks(
  stateDict: ReadonlyMap<string, RawTensor>,
  { key }: TorchZipOptions = {},
): Generator<Uint8Array, void, void> {
  return encodeZip(entries(stateDict, key));
}

function* entries(stateDict: ReadonlyMap<string, RawTensor>, key: string | undefined): Generator<ZipEntry> {
  const text = (content: string) => new TextEncoder().encode(content);
  yield { name: "archive/data.pkl", bytes: pickleStateDict(stateDict, key) };
  yield { name: "archive/byteorder", bytes: text("little") };
  let index = 0;
  for (const { bytes } of stateDict.values()) yield { name: `archive/data/${index++}`, bytes };
  yield { name: "archive/version", bytes: text("3\n") };
}

function pickleStateDict(stateDict: ReadonlyMap<string, RawTensor>, key: string | undefined): Uint8Array {
  const out = new PickleWriter();
  out.op(0x80, 2);
  if (key !== undefined) {
    out.op(0x7d); // EMPTY_DICT
    out.text(key);
  }
  out.emptyOrderedDict();
  out.op(0x28); // MARK
  let index = 0;
  for (const [name, raw] of stateDict) {
    checkRawTensor(raw, `encodeTorchZip: ${name}`);
    out.text(name);
    out.tensor(raw, String(index++));
  }
  out.op(0x75); // SETITEMS
  if (key !== undefined) out.op(0x73); // SETITEM
  out.op(0x2e); // STOP
  return out.bytes();
}

const STORAGE_OF = new Map(Object.entries(STORAGE_DTYPES).map(([name, dtype]) => [dtype, name]));
const NAME_OF = new Map(Object.entries(TORCH_DTYPES).map(([name, dtype]) => [dtype, name]));

class PickleWriter {
  private readonly parts: Uint8Array[] = [];
  private readonly utf8 = new TextEncoder();

  op(...bytes: number[]): void {
    this.parts.push(Uint8Array.from(bytes));
  }

  bytes(): Uint8Array {
    return concatBytes(this.parts);
  }

  text(text: string): void {
    const utf8 = this.utf8.encode(text);
    const length = new Uint8Array(5);
    length[0] = 0x58; // BINUNICODE
    new DataView(length.buffer).setUint32(1, utf8.byteLength, true);
    this.parts.push(length, utf8);
  }

  /** A call of `_rebuild_tensor_v2`, or of `_rebuild_tensor_v3` for dtypes that have no storage class of their own. */
  tensor({ dtype, shape, bytes }: RawTensor, key: string): void {
    const storage = STORAGE_OF.get(dtype);
    this.global("torch._utils", storage === undefined ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    this.op(0x28); // MARK
    this.storage(storage, key, bytes.byteLength, shape);
    this.integer(0); // offset
    this.integers(shape);
    this.integers(rowMajorStrides(shape));
    this.op(0x89); // NEWFALSE: requires_grad
    this.emptyOrderedDict(); // backward hooks
    if (storage === undefined) this.global("torch", NAME_OF.get(dtype)!);
    this.op(0x74, 0x52); // TUPLE, REDUCE
  }

  emptyOrderedDict(): void {
    this.global("collections", "OrderedDict");
    this.op(0x29, 0x52); // EMPTY_TUPLE, REDUCE
  }

  private storage(storage: string | undefined, key: string, bytes: number, shape: readonly number[]): void {
    this.op(0x28); // MARK
    this.text("storage");
    if (storage === undefined) this.global("torch.storage", "UntypedStorage");
    else this.global("torch", storage);
    this.text(key);
    this.text("cpu");
    this.integer(storage === undefined ? bytes : shape.reduce((product, n) => product * n, 1));
    this.op(0x74, 0x51); // TUPLE, BINPERSID
  }

  private global(module: string, name: string): void {
    this.parts.push(this.utf8.encode(`c${module}\n${name}\n`));
  }

  private integers(values: readonly number[]): void {
    this.op(0x28); // MARK
    for (const value of values) this.integer(value);
    this.op(0x74); // TUPLE
  }

  private integer(value: number): void {
    const out = new DataView(new ArrayBuffer(10));
    out.setUint8(0, 0x8a); // LONG1
    out.setUint8(1, 8);
    out.setBigInt64(2, BigInt(value), true);
    if (value < 256)
      this.op(0x4b, value); // BININT1
    else this.parts.push(new Uint8Array(out.buffer));
  }
}
