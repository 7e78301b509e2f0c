/**
 * NumPy's `.npy` (versions 1 to 3) and `.npz` files. Source: numpy.lib.format.
 * Whatever order and byte order a file has, tensors are given row-major and little-endian; that is also what is written.
 */
import { expect, FormatError } from "../errors.js";
import { concatBytes, memorySource } from "./byte-source.js";
import {
  byteLength,
  bytesPerElement,
  checkRawTensor,
  type DType,
  gatherStrided,
  type RawTensor,
  rowMajorStrides,
  swapBytes,
} from "./raw-tensor.js";
import { openZip } from "./zip.js";
import { encodeZip } from "./zip-write.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

const NUMPY_DTYPES: Readonly<Record<string, DType>> = {
  b1: "BOOL",
  u1: "U8",
  i1: "I8",
  i2: "I16",
  u2: "U16",
  f2: "F16",
  i4: "I32",
  u4: "U32",
  f4: "F32",
  c8: "C64",
  f8: "F64",
  i8: "I64",
  u8: "U64",
};

/** A longer header has no place before an array of at most 64 axes. */
const MAX_HEADER_BYTES = 65_536;

/**
 * Reads the bytes of a `.npy` file; a view of them when the array is row-major and little-endian.
 * @throws FormatError when they are damaged or hold objects, text or records.
 */
export function parseNpy(bytes: Uint8Array): RawTensor {
  const { text, start } = readHeader(bytes);
  const { descr, fortran, shape } = parseHeader(text);
  const dtype = readDescr(descr);
  const length = byteLength(dtype, shape, "npy");
  if (bytes.byteLength - start !== length)
    throw bad(
      `${descr} of shape (${shape.join(", ")}) takes ${length} bytes, the file has ${bytes.byteLength - start}`,
    );
  let data = bytes.subarray(start);
  if (fortran) {
    const strides = rowMajorStrides([...shape].reverse()).reverse();
    data = gatherStrided(data, bytesPerElement(dtype), shape, strides, 0);
  }
  // A complex number is two floats, each with its own byte order.
  if (descr[0] === ">") data = swapBytes(data, dtype === "C64" ? 4 : bytesPerElement(dtype));
  return { dtype, shape, bytes: data };
}

/** The bytes that `numpy.save` writes for the array. Throws UnmaskError for dtypes NumPy lacks (BF16, 8-bit floats). */
export function encodeNpy(raw: RawTensor): Uint8Array {
  checkRawTensor(raw, "encodeNpy");
  const name = Object.keys(NUMPY_DTYPES).find((key) => NUMPY_DTYPES[key] === raw.dtype);
  expect(name !== undefined, `encodeNpy: NumPy has no ${raw.dtype}; convert to F32 with toFloat32 first`);
  const descr = (bytesPerElement(raw.dtype) === 1 ? "|" : "<") + name;
  const tuple = raw.shape.length === 1 ? `(${raw.shape[0]},)` : `(${raw.shape.join(", ")})`;
  let header = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // NumPy leaves room for the first axis to grow to 21 digits.
  if (raw.shape.length > 0) header += " ".repeat(21 - String(raw.shape[0]).length);
  const prefix = MAGIC.length + 4;
  const length = Math.ceil((prefix + header.length + 1) / 64) * 64 - prefix;
  header = `${header.padEnd(length - 1)}\n`;
  const start = Uint8Array.from([...MAGIC, 1, 0, length & 0xff, length >> 8]);
  return concatBytes([start, new TextEncoder().encode(header), raw.bytes]);
}

/**
 * Reads the bytes of an `.npz` file, compressed or not: arrays by name, without the `.npy` ending.
 * @throws FormatError when an entry is damaged, is no array, or the archive would expand beyond reason.
 */
export function parseNpz(bytes: Uint8Array): Map<string, RawTensor> {
  const zip = openZip(memorySource(bytes), "npz");
  const tensors = new Map<string, RawTensor>();
  for (const name of zip.names) {
    if (!name.endsWith(".npy"))
      throw new FormatError(`npz: ${name} is not a .npy array; remove it from the archive`);
    const raw = parseNpy(zip.read(name));
    tensors.set(name.slice(0, -".npy".length), raw);
  }
  return tensors;
}

/** The bytes of an uncompressed `.npz` file that `numpy.load` reads. */
export function encodeNpz(tensors: ReadonlyMap<string, RawTensor>): Uint8Array {
  const entries = [...tensors].map(([name, raw]) => ({ name: `${name}.npy`, bytes: encodeNpy(raw) }));
  return concatBytes(encodeZip(entries));
}

function readHeader(bytes: Uint8Array): { text: string; start: number } {
  if (bytes.byteLength < 12 || !MAGIC.every((byte, i) => bytes[i] === byte))
    throw bad("does not begin as a .npy file does; it was not written by numpy.save");
  const version = bytes[6]!;
  if (version < 1 || version > 3 || bytes[7] !== 0)
    throw bad(`has version ${version}.${bytes[7]}; 1.0 to 3.0 are known`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES || begin + length > bytes.byteLength)
    throw bad(`has a header of ${length} bytes; the file was cut short or damaged`);
  const header = bytes.subarray(begin, begin + length);
  return { text: new TextDecoder(version === 3 ? "utf-8" : "latin1").decode(header), start: begin + length };
}

/** The header is a Python dict literal with exactly three entries. */
function parseHeader(text: string): { descr: string; fortran: boolean; shape: number[] } {
  const body = /^\{(.*)\}\s*$/s.exec(text)?.[1];
  if (body === undefined) throw bad("has a header that is not a dict; the file is damaged");
  const descr =
    /^\s*'descr'\s*:\s*(?:'([^']*)'|(\[))/.exec(body) ?? /,\s*'descr'\s*:\s*(?:'([^']*)'|(\[))/.exec(body);
  if (descr?.[2] !== undefined) throw bad("holds records; save each field as an array of its own");
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(body);
  const shape = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(body);
  if (descr?.[1] === undefined || fortran === null || shape === null)
    throw bad("has a header without descr, fortran_order or shape; the file is damaged");
  const rest = body.replace(descr[0], "").replace(fortran[0], "").replace(shape[0], "");
  if (!/^[\s,]*$/.test(rest)) throw bad("has a header with unknown entries; the file is damaged");
  return { descr: descr[1], fortran: fortran[1] === "True", shape: parseShape(shape[1]!) };
}

function parseShape(text: string): number[] {
  if (text.trim() === "") return [];
  const sizes = text.replace(/,\s*$/, "").split(",");
  return sizes.map((size) => {
    if (!/^\s*\d+L?\s*$/.test(size)) throw bad(`has the axis ${JSON.stringify(size)}; the file is damaged`);
    return Number.parseInt(size, 10);
  });
}

function readDescr(descr: string): DType {
  const dtype = /^[<>|=]/.test(descr) ? NUMPY_DTYPES[descr.slice(1)] : undefined;
  if (dtype === undefined || !Object.hasOwn(NUMPY_DTYPES, descr.slice(1)))
    throw bad(
      descr.includes("O")
        ? "holds Python objects, which are not read because they could run code; save plain numbers"
        : `holds ${JSON.stringify(descr)}, expected numbers or booleans of at most 64 bits; convert before saving`,
    );
  return dtype;
}

function bad(reason: string): FormatError {
  return new FormatError(`npy: the file ${reason}`);
}
