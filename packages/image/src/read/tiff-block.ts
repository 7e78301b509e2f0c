/** The numbers of one strip or tile of a TIFF. */
import { promisify } from "node:util";
import { inflate } from "node:zlib";
import { FormatError } from "@unmask/core";

export type NumberKind = "unsigned" | "signed" | "float";
type Compression = "none" | "lzw" | "deflate" | "packbits";

/** How the numbers of a block are written. */
export interface BlockCoding {
  readonly littleEndian: boolean;
  readonly compression: Compression;
  /** 1 plain, 2 differences along rows, 3 differences of floats taken apart into bytes. */
  readonly predictor: 1 | 2 | 3;
  readonly bits: number;
  readonly kind: NumberKind;
  /** Values that stand side by side for each pixel. */
  readonly blockBands: number;
}

/** By the number that stands for them in files. */
export const COMPRESSIONS: ReadonlyMap<number, Compression> = new Map([
  [1, "none"],
  [5, "lzw"],
  [8, "deflate"],
  [32946, "deflate"],
  [32773, "packbits"],
]);

const inflateAsync = promisify(inflate);

/** The values [rows, columns, blockBands] of a block. Throws a FormatError where its bytes are damaged or too few. */
export async function decodeBlock(
  compressed: Uint8Array,
  coding: BlockCoding,
  { rows, columns }: { rows: number; columns: number },
): Promise<ArrayLike<number>> {
  const size = coding.bits / 8;
  const rowValues = columns * coding.blockBands;
  const bytes = await decompress(compressed, coding.compression, rows * rowValues * size);
  if (coding.predictor === 3) joinFloats(bytes, rowValues, size, coding.blockBands);
  else if (!coding.littleEndian) reverseEach(bytes, size);
  if (coding.predictor === 2) addDifferences(unsignedView(bytes, size), rowValues, coding.blockBands);
  return viewOf(bytes, coding);
}

/** Exactly `length` bytes, in memory of their own. */
async function decompress(
  compressed: Uint8Array,
  compression: Compression,
  length: number,
): Promise<Uint8Array> {
  switch (compression) {
    case "none":
      return exactly(compressed, length);
    case "deflate":
      try {
        return exactly(await inflateAsync(compressed, { maxOutputLength: length + 1 }), length);
      } catch (error) {
        if (error instanceof FormatError) throw error;
        throw new FormatError(`tiff: damaged compressed data (${(error as Error).message})`, {
          cause: error,
        });
      }
    case "lzw":
      return decodeLzw(compressed, length);
    case "packbits":
      return decodePackBits(compressed, length);
  }
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.byteLength < length) throw tooShort(bytes.byteLength, length);
  return Uint8Array.from(bytes.subarray(0, length));
}

function tooShort(got: number, wanted: number): FormatError {
  return new FormatError(`tiff: a block holds ${got} of ${wanted} bytes; the file is damaged`);
}

const CLEAR = 256;
const END = 257;

/** LZW with codes of 9 to 12 bits, highest bit first, each width left one code early. */
function decodeLzw(compressed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  // Each code stands for the string of `prefix` followed by one more byte, `lengths` bytes in all.
  const prefix = new Uint16Array(4096);
  const last = Uint8Array.from({ length: 4096 }, (_, code) => code);
  const first = last.slice();
  const lengths = new Uint16Array(4096).fill(1);
  let [next, width, previous, written] = [END + 1, 9, -1, 0];
  for (let bit = 0; written < length && bit + width <= compressed.byteLength * 8; ) {
    const at = bit >> 3;
    const three = (compressed[at]! << 16) | ((compressed[at + 1] ?? 0) << 8) | (compressed[at + 2] ?? 0);
    const code = (three >> (24 - width - (bit & 7))) & ((1 << width) - 1);
    bit += width;
    if (code === END) break;
    if (code === CLEAR) {
      [next, width, previous] = [END + 1, 9, -1];
      continue;
    }
    if (code > next || (code === next && previous < 0) || (previous < 0 && code > 255))
      throw new FormatError("tiff: damaged LZW data");
    if (previous >= 0 && next < 4096) {
      prefix[next] = previous;
      first[next] = first[previous]!;
      last[next] = code === next ? first[previous]! : first[code]!;
      lengths[next] = lengths[previous]! + 1;
      next++;
      if (next >= (1 << width) - 1 && width < 12) width++;
    } else if (code === next) throw new FormatError("tiff: damaged LZW data");
    for (let end = written + lengths[code]! - 1, c = code; end >= written; end--, c = prefix[c]!)
      if (end < length) out[end] = last[c]!;
    written += lengths[code]!;
    previous = code;
  }
  if (written < length) throw tooShort(written, length);
  return out;
}

/** Runs of bytes: a count and what follows it, or a negative count and the byte to repeat. */
function decodePackBits(compressed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let written = 0;
  for (let at = 0; written < length && at + 1 < compressed.byteLength; ) {
    const count = (compressed[at++]! << 24) >> 24;
    if (count === -128) continue;
    const run = Math.min(length - written, Math.abs(count) + 1);
    if (count < 0) out.fill(compressed[at++]!, written, written + run);
    else {
      const bytes = compressed.subarray(at, at + run);
      out.set(bytes, written);
      if (bytes.byteLength < run) throw tooShort(written + bytes.byteLength, length);
      at += run;
    }
    written += run;
  }
  if (written < length) throw tooShort(written, length);
  return out;
}

function reverseEach(bytes: Uint8Array, size: number): void {
  if (size > 1) for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse();
}

function addDifferences(
  values: Uint8Array | Uint16Array | Uint32Array,
  rowValues: number,
  bands: number,
): void {
  for (let row = 0; row < values.length; row += rowValues)
    for (let i = row + bands; i < row + rowValues; i++) values[i] = values[i]! + values[i - bands]!;
}

/** Each row holds the highest bytes of all its floats, then the next ones and so on, as differences. */
function joinFloats(bytes: Uint8Array, rowValues: number, size: number, bands: number): void {
  const row = new Uint8Array(rowValues * size);
  for (let start = 0; start < bytes.length; start += row.length) {
    row.set(bytes.subarray(start, start + row.length));
    addDifferences(row, row.length, bands);
    for (let i = 0; i < rowValues; i++)
      for (let b = 0; b < size; b++) bytes[start + i * size + size - 1 - b] = row[b * rowValues + i]!;
  }
}

function unsignedView(bytes: Uint8Array, size: number): Uint8Array | Uint16Array | Uint32Array {
  if (size === 1) return bytes;
  if (size === 2) return new Uint16Array(bytes.buffer);
  if (size === 4) return new Uint32Array(bytes.buffer);
  throw new FormatError(
    `tiff: differences of ${size * 8}-bit numbers are not read; write it without a predictor`,
  );
}

function viewOf(bytes: Uint8Array, { kind, bits }: BlockCoding): ArrayLike<number> {
  if (kind === "float") return bits === 32 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  if (kind === "unsigned") return unsignedView(bytes, bits / 8);
  if (bits === 8) return new Int8Array(bytes.buffer);
  return bits === 16 ? new Int16Array(bytes.buffer) : new Int32Array(bytes.buffer);
}
