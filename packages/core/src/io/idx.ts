/** The idx format of MNIST and its successors, plain or gzipped. Source: http://yann.lecun.com/exdb/mnist/ (end of page). */
import { FormatError } from "../errors.js";
import { crc32 } from "./crc32.js";
import { inflate } from "./inflate.js";
import { byteLength, bytesPerElement, type DType, type RawTensor, swapBytes } from "./raw-tensor.js";

const IDX_DTYPES = new Map<number, DType>([
  [0x08, "U8"],
  [0x09, "I8"],
  [0x0b, "I16"],
  [0x0c, "I32"],
  [0x0d, "F32"],
  [0x0e, "F64"],
]);

/**
 * Reads the bytes of an idx file or of its gzip; the tensor is a view of plain bytes when they are 8-bit.
 * A gzip is inflated to exactly the size that the idx header inside it announces.
 * @throws FormatError when the header is not one of idx or the data has another size.
 */
export function parseIdx(bytes: Uint8Array): RawTensor {
  const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzip(bytes) : bytes;
  const header = readHeader(plain);
  if (header === undefined)
    throw bad(`has ${plain.byteLength} bytes, fewer than its header; it was cut short`);
  const { dtype, shape, start, size } = header;
  if (plain.byteLength !== size)
    throw bad(
      `of shape [${shape.join(", ")}] takes ${size} bytes, got ${plain.byteLength}; it was cut or extended`,
    );
  return { dtype, shape, bytes: swapBytes(plain.subarray(start), bytesPerElement(dtype)) };
}

interface Header {
  readonly dtype: DType;
  readonly shape: number[];
  /** Where the data begins. */
  readonly start: number;
  /** Bytes of the whole file. */
  readonly size: number;
}

/** The header, or undefined when `bytes` ends before it does. */
function readHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.byteLength < 4) return undefined;
  const dtype = IDX_DTYPES.get(bytes[2]!);
  if (bytes[0] !== 0 || bytes[1] !== 0 || dtype === undefined)
    throw bad("does not begin as an idx file does; expected two zeros and a known type");
  const rank = bytes[3]!;
  const start = 4 + 4 * rank;
  if (bytes.byteLength < start) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis, false));
  return { dtype, shape, start, size: start + byteLength(dtype, shape, "idx") };
}

const GZIP_HEADER = 10;
const GZIP_TRAILER = 8;

/** Source: RFC 1952. One member, as every data set's files have. */
function gunzip(bytes: Uint8Array): Uint8Array {
  const start = endOfGzipHeader(bytes);
  if (start + GZIP_TRAILER > bytes.byteLength) throw bad("is a gzip that was cut short");
  const body = bytes.subarray(start, bytes.byteLength - GZIP_TRAILER);
  const plain = inflate(body, (head) => readHeader(head)?.size, "idx");
  const trailer = new DataView(
    bytes.buffer,
    bytes.byteOffset + bytes.byteLength - GZIP_TRAILER,
    GZIP_TRAILER,
  );
  if (
    trailer.getUint32(0, true) !== crc32(plain) ||
    trailer.getUint32(4, true) !== plain.byteLength % 2 ** 32
  )
    throw bad("is a gzip whose checksum is wrong; it is damaged");
  return plain;
}

function endOfGzipHeader(bytes: Uint8Array): number {
  const flags = bytes[3] ?? 0;
  if (bytes[2] !== 8 || flags & 0xe0) throw bad("is a gzip of an unknown kind; compress it again with gzip");
  let at = GZIP_HEADER;
  if (flags & 4) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0); // extra field
  for (const flag of [8, 16])
    if (flags & flag) {
      const end = bytes.indexOf(0, at); // file name, comment
      if (end < 0) throw bad("is a gzip that was cut short");
      at = end + 1;
    }
  return flags & 2 ? at + 2 : at; // header checksum
}

function bad(reason: string): FormatError {
  return new FormatError(`idx: the file ${reason}`);
}
