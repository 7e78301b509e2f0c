/**
 * Zip archives as PyTorch and NumPy write them: stored and deflated entries, zip64. Everything is checked against the
 * size of the file before it is read. Source: PKWARE APPNOTE 6.3.
 */
import { FormatError } from "../errors.js";
import { type ByteSource, ExpansionBudget } from "./byte-source.js";
import { crc32 } from "./crc32.js";
import { inflate, MAX_DEFLATE_RATIO } from "./inflate.js";

export interface ZipArchive {
  readonly names: readonly string[];
  has(name: string): boolean;
  /** Size of an entry once inflated. */
  sizeOf(name: string): number;
  /** The entry's bytes; a view of the source when stored. Throws FormatError when there is no such entry or it is damaged. */
  read(name: string): Uint8Array;
  /** Shared by everything that is built from this archive. */
  readonly budget: ExpansionBudget;
}

interface Entry {
  readonly name: string;
  readonly deflated: boolean;
  readonly crc: number;
  readonly compressed: number;
  readonly size: number;
  readonly header: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;

/** Reads the directory of a zip archive; entries are read when asked for. `what` begins every error message. */
export function openZip(source: ByteSource, what: string): ZipArchive {
  const bad = (reason: string) => new FormatError(`${what}: ${reason}`);
  const entries = readDirectory(source, bad);
  const budget = new ExpansionBudget(source.size, what);
  const find = (name: string) => {
    const entry = entries.get(name);
    if (entry === undefined) throw bad(`the archive has no entry ${name}; it is incomplete`);
    return entry;
  };
  return {
    names: [...entries.keys()],
    budget,
    has: (name) => entries.has(name),
    sizeOf: (name) => find(name).size,
    read(name) {
      const entry = find(name);
      const stored = readEntry(source, entry, bad);
      if (entry.deflated) budget.take(entry.size);
      const bytes = entry.deflated ? inflate(stored, () => entry.size, `${what}: ${name}`) : stored;
      // PyTorch can be told to write no checksums and then writes zeros.
      if (entry.crc !== 0 && crc32(bytes) !== entry.crc)
        throw bad(`the checksum of ${name} is wrong; it is damaged`);
      return bytes;
    },
  };
}

type Bad = (reason: string) => FormatError;

function readEntry(source: ByteSource, entry: Entry, bad: Bad): Uint8Array {
  const header = dataView(source.read(entry.header, LOCAL_BYTES));
  if (header.getUint32(0, true) !== LOCAL)
    throw bad(`no entry begins where ${entry.name} should; it is damaged`);
  const nameLength = header.getUint16(26, true);
  const start = entry.header + LOCAL_BYTES + nameLength + header.getUint16(28, true);
  if (start + entry.compressed > source.size)
    throw bad(`${entry.name} ends outside the file; it was cut short`);
  const name = source.read(entry.header + LOCAL_BYTES, nameLength);
  if (decodeName(name, bad) !== entry.name)
    throw bad(`${entry.name} has another name in its own header; it is damaged`);
  return source.read(start, entry.compressed);
}

function readDirectory(source: ByteSource, bad: Bad): Map<string, Entry> {
  const { offset, size, count } = findDirectory(source, bad);
  if (offset + size > source.size || count * CENTRAL_BYTES > size)
    throw bad("the zip directory lies outside the file; it was cut short or damaged");
  const bytes = source.read(offset, size);
  const view = dataView(bytes);
  const entries = new Map<string, Entry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > size || view.getUint32(at, true) !== CENTRAL)
      throw bad("the zip directory is damaged; the file was cut or altered");
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const end = at + CENTRAL_BYTES + nameLength + extraLength + view.getUint16(at + 32, true);
    if (end > size) throw bad("the zip directory is damaged; the file was cut or altered");
    const nameEnd = at + CENTRAL_BYTES + nameLength;
    const name = decodeName(bytes.subarray(at + CENTRAL_BYTES, nameEnd), bad);
    const extra = bytes.subarray(nameEnd, nameEnd + extraLength);
    if (entries.has(name)) throw bad(`two entries are named ${name}; the file is damaged`);
    entries.set(name, readCentral(view, at, name, extra, bad));
    at = end;
  }
  checkLayout([...entries.values()], offset, bad);
  return entries;
}

function readCentral(view: DataView, at: number, name: string, extra: Uint8Array, bad: Bad): Entry {
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  if (flags & 1) throw bad(`${name} is encrypted; save the file without a password`);
  if (method !== 0 && method !== 8)
    throw bad(`${name} is compressed by method ${method}; only deflate can be read`);
  const wide = wideFields(extra, bad);
  const field = (value: number) => (value === 0xffffffff ? wide() : value);
  const size = field(view.getUint32(at + 24, true));
  const compressed = field(view.getUint32(at + 20, true));
  const header = field(view.getUint32(at + 42, true));
  const deflated = method === 8;
  if (deflated ? size > (compressed + 1) * MAX_DEFLATE_RATIO : size !== compressed)
    throw bad(`${name} cannot hold ${size} bytes in ${compressed}; the file is damaged`);
  return { name, deflated, crc: view.getUint32(at + 16, true), compressed, size, header };
}

/** Entries must lie one after the other before the directory: shared data would let a small file expand without end. */
function checkLayout(entries: Entry[], directory: number, bad: Bad): void {
  entries.sort((a, b) => a.header - b.header);
  for (const [i, entry] of entries.entries()) {
    const limit = entries[i + 1]?.header ?? directory;
    if (entry.header + LOCAL_BYTES + entry.compressed > limit)
      throw bad(`${entry.name} overlaps what follows it; the file is damaged`);
  }
}

/** Reads the zip64 field's 64-bit numbers one after the other. */
function wideFields(extra: Uint8Array, bad: Bad): () => number {
  const view = dataView(extra);
  let at = 0;
  let end = 0;
  for (let i = 0; i + 4 <= extra.length; i += 4 + view.getUint16(i + 2, true))
    if (view.getUint16(i, true) === 1) {
      at = i + 4;
      end = Math.min(at + view.getUint16(i + 2, true), extra.length);
      break;
    }
  return () => {
    if (at + 8 > end) throw bad("a zip64 size is missing; the file is damaged");
    return readUint64(view, (at += 8) - 8, bad);
  };
}

function findDirectory(source: ByteSource, bad: Bad): { offset: number; size: number; count: number } {
  const tailStart = Math.max(0, source.size - END_BYTES - 0xffff);
  const tail = dataView(source.read(tailStart, source.size - tailStart));
  let end = tail.byteLength - END_BYTES;
  while (
    end >= 0 &&
    !(
      tail.getUint32(end, true) === END &&
      end + END_BYTES + tail.getUint16(end + 20, true) === tail.byteLength
    )
  )
    end--;
  if (end < 0) throw bad("no zip directory at the end; the file was cut short or is not a zip archive");
  const count = tail.getUint16(end + 10, true);
  const size = tail.getUint32(end + 12, true);
  const offset = tail.getUint32(end + 16, true);
  if (count !== 0xffff && size !== 0xffffffff && offset !== 0xffffffff) return { offset, size, count };
  const locator = tailStart + end - 20;
  if (locator < 0) throw bad("the zip64 directory is missing; the file is damaged");
  const locatorView = dataView(source.read(locator, 20));
  if (locatorView.getUint32(0, true) !== END64_LOCATOR) return { offset, size, count };
  const record = readUint64(locatorView, 8, bad);
  if (record + 56 > source.size) throw bad("the zip64 directory lies outside the file; it was cut short");
  const view = dataView(source.read(record, 56));
  if (view.getUint32(0, true) !== END64) throw bad("the zip64 directory is missing; the file is damaged");
  return {
    count: readUint64(view, 32, bad),
    size: readUint64(view, 40, bad),
    offset: readUint64(view, 48, bad),
  };
}

function readUint64(view: DataView, at: number, bad: Bad): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`a zip64 number is ${value}; the file is damaged`);
  return Number(value);
}

/** Names are only looked up, never turned into paths; those that try to be one are refused all the same. */
function decodeName(bytes: Uint8Array, bad: Bad): string {
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw bad("an entry's name is not UTF-8; the file is damaged");
  }
  if (name === "" || /^\/|[\\\0]|(^|\/)\.\.(\/|$)/.test(name))
    throw bad(`an entry is named ${JSON.stringify(name)}; names must be plain relative ones`);
  return name;
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
