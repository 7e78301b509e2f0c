/**
 * The safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes.
 * Source: https://github.com/huggingface/safetensors#format. What is written equals, byte for byte, what the Python
 * library writes for the same tensors (and at most one metadata entry: it writes several in no fixed order).
 */
import { expect, FormatError } from "../errors.js";
import { concatBytes } from "./byte-source.js";
import {
  byteLength,
  checkRawTensor,
  dtypeRank,
  isDType,
  type RawTensor,
  type TensorInfo,
} from "./raw-tensor.js";

export interface Safetensors {
  /** By name, in the order of their bytes in the file. */
  readonly tensors: Map<string, RawTensor>;
  readonly metadata: Record<string, string>;
}

/** Where a tensor's bytes are, counted from the end of the header. */
export interface TensorEntry extends TensorInfo {
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly entries: Map<string, TensorEntry>;
  readonly metadata: Record<string, string>;
}

const MAX_HEADER_BYTES = 100_000_000;

/** Half a character, which UTF-8 cannot hold. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Reads a whole file's bytes. The tensors are views of `bytes`, not copies.
 * @throws FormatError when the bytes are not exactly a safetensors file.
 */
export function parseSafetensors(bytes: Uint8Array): Safetensors {
  const start = 8 + readHeaderLength(bytes.subarray(0, 8), bytes.byteLength);
  const { entries, metadata } = parseHeader(bytes.subarray(8, start), bytes.byteLength - start);
  const tensors = new Map<string, RawTensor>();
  for (const [name, { dtype, shape, begin, end }] of entries)
    tensors.set(name, { dtype, shape, bytes: bytes.subarray(start + begin, start + end) });
  return { tensors, metadata };
}

/** The bytes of a file that holds `tensors`. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, RawTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { header, order } = encodeHeader(tensors, metadata);
  const chunks = [header];
  for (const name of order) {
    const raw = tensors.get(name)!;
    checkRawTensor(raw, `encodeSafetensors: ${name}`);
    chunks.push(raw.bytes);
  }
  return concatBytes(chunks);
}

/** Length of the JSON header from a file's first 8 bytes, checked against the file's size. */
export function readHeaderLength(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.byteLength < 8)
    throw bad(`the file has ${fileBytes} bytes and a header needs 8; it is empty or was cut short`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    throw bad(
      `the header would take ${length} bytes, more than ${MAX_HEADER_BYTES}; it is not a safetensors file`,
    );
  if (8 + Number(length) > fileBytes)
    throw bad(`the header would end at byte ${8 + Number(length)} of ${fileBytes}; the file was cut short`);
  return Number(length);
}

/** Reads the JSON header of a file whose tensors take `dataBytes` bytes. */
export function parseHeader(header: Uint8Array, dataBytes: number): SafetensorsHeader {
  const json = parseJson(header);
  let metadata: Record<string, string> = {};
  const entries: [string, TensorEntry][] = [];
  for (const [name, value] of Object.entries(json))
    if (name === "__metadata__") metadata = readMetadata(value);
    else entries.push([name, readEntry(name, value)]);
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const [name, { begin, end }] of entries) {
    if (begin !== position)
      throw bad(
        `${name} begins at byte ${begin}, expected ${position}: tensors must not overlap or leave gaps`,
      );
    position = end;
  }
  if (position !== dataBytes)
    throw bad(
      `the header describes ${position} bytes of tensors and the file holds ${dataBytes}; it was cut or extended`,
    );
  return { entries: new Map(entries), metadata };
}

/** The header's bytes with its length prefix, and the order in which the tensors' bytes follow. */
export function encodeHeader(
  tensors: ReadonlyMap<string, TensorInfo>,
  metadata: Readonly<Record<string, string>>,
): { header: Uint8Array; order: string[] } {
  const utf8 = new TextEncoder();
  const named = [...tensors].map(([name, info]) => {
    expect(
      name !== "__metadata__" && !LONE_SURROGATE.test(name),
      () => `encodeSafetensors: ${JSON.stringify(name)} cannot name a tensor; rename it`,
    );
    return { name, info, key: utf8.encode(name) };
  });
  named.sort((a, b) => dtypeRank(b.info.dtype) - dtypeRank(a.info.dtype) || compareBytes(a.key, b.key));
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) members.push(`"__metadata__":${encodeMetadata(metadata)}`);
  let begin = 0;
  for (const { name, info } of named) {
    const end = begin + byteLength(info.dtype, info.shape, `encodeSafetensors: ${name}`);
    const shape = info.shape.join(",");
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${info.dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`,
    );
    begin = end;
  }
  const json = utf8.encode(`{${members.join(",")}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  expect(
    length <= MAX_HEADER_BYTES,
    `encodeSafetensors: the header would take ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed; use fewer names or less metadata`,
  );
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return { header, order: named.map(({ name }) => name) };
}

function encodeMetadata(metadata: Readonly<Record<string, string>>): string {
  for (const [key, value] of Object.entries(metadata))
    expect(
      typeof value === "string" && !LONE_SURROGATE.test(key + "\0" + value),
      () =>
        `encodeSafetensors: metadata ${JSON.stringify(key)} must be a Unicode string, got ${typeof value}`,
    );
  return JSON.stringify(metadata);
}

/**
 * JSON.parse keeps the last of two equal keys and reads 1e3, 2.0 and -0 as integers. A header holds nothing but strings,
 * objects, lists and non-negative integers, so it is enough to allow only their characters and to count the colons.
 */
function parseJson(header: Uint8Array): object {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
    json = JSON.parse(text);
  } catch (error) {
    throw bad(`the header is not JSON in UTF-8 (${(error as Error).message}); it is not a safetensors file`);
  }
  if (!isObject(json) || text[0] !== "{")
    throw bad("the header is not a JSON object; it is not a safetensors file");
  let keys = Object.keys(json).length;
  for (const value of Object.values(json)) {
    if (!isObject(value))
      throw bad("the header holds something that is not a tensor; it is not a safetensors file");
    keys += Object.keys(value).length;
  }
  if (countColons(text) !== keys) throw bad("the header names something twice; the file is damaged");
  return json;
}

/** Colons outside strings: one for each key. Refuses characters that a header has no use for. */
function countColons(json: string): number {
  let colons = 0;
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (character === ":") colons++;
    else if (character === '"') {
      while (json[++i] !== '"') if (json[i] === "\\") i++;
    } else if (!"{}[],0123456789 \t\r\n".includes(character))
      throw bad("the header holds a number that is not a plain integer, or a JSON word; the file is damaged");
  }
  return colons;
}

function readEntry(name: string, value: object): TensorEntry {
  const { dtype, shape, data_offsets: offsets, ...rest } = value as Record<string, unknown>;
  if (!isDType(dtype))
    throw bad(`${name} has dtype ${JSON.stringify(dtype)}, which is not known; save it as F32`);
  if (!Array.isArray(shape)) throw bad(`${name} has no shape; the file is damaged`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(Number.isSafeInteger))
    throw bad(
      `${name} has data_offsets ${JSON.stringify(offsets)}, expected two integers; the file is damaged`,
    );
  const unknown = Object.keys(rest);
  if (unknown.length > 0)
    throw bad(`${name} has the unknown key ${JSON.stringify(unknown[0])}; the file is damaged`);
  const [begin, end] = offsets as [number, number];
  const wanted = byteLength(dtype, shape, `safetensors: ${name}`);
  if (end - begin !== wanted)
    throw bad(`${name} takes ${wanted} bytes as ${dtype} [${shape.join(", ")}] and is given ${end - begin}`);
  return { dtype, shape: shape as number[], begin, end };
}

function readMetadata(value: object): Record<string, string> {
  for (const [key, text] of Object.entries(value))
    if (typeof text !== "string")
      throw bad(`metadata ${JSON.stringify(key)} is not a string; the file is damaged`);
  return value as Record<string, string>;
}

function isObject(value: unknown): value is object {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function bad(reason: string): FormatError {
  return new FormatError(`safetensors: ${reason}`);
}
