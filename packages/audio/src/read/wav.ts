/**
 * RIFF wave files in plain JavaScript: integers of 8 to 32 bits, floats of 32 and 64, extensible headers, RF64, any
 * number of channels. Files come from strangers: nothing is read or allocated beyond the bytes that are there.
 */
import { FormatError } from "@unmask/core/errors";
import type { Waveform } from "../sample.js";

export interface WavHeader {
  readonly encoding: "integer" | "float";
  /** Bytes of one number. */
  readonly bytes: number;
  readonly channels: number;
  /** Hz */
  readonly sampleRate: number;
  /** Where the numbers begin in the file. */
  readonly offset: number;
  /** Moments in time, each with a number for every channel; whole ones that the file really holds. */
  readonly length: number;
}

/** A wave file whose numbers are of a kind that is not read here, such as ADPCM. */
export class WavEncodingError extends FormatError {
  override name = "WavEncodingError";
}

/** Rates beyond this are taken for damage. */
const LARGEST_RATE = 1_000_000;
/** Chunks before the samples; more are taken for damage. */
const MOST_CHUNKS = 1000;
const UNKNOWN_SIZE = 0xffffffff;

/**
 * @param peek the bytes of the file at an offset, as many as asked for or up to its end
 * @param fileSize bytes of the file
 * @throws FormatError where it is no wave file
 */
export function parseWavHeader(
  peek: (offset: number, length: number) => Uint8Array,
  fileSize: number,
): WavHeader {
  const view = (offset: number, length: number) => {
    const bytes = peek(offset, length);
    if (bytes.length < length) throw new FormatError("wav: the file ends inside its header");
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  };
  const riff = view(0, 12);
  const kind = text(riff, 0);
  if (!["RIFF", "RF64", "BW64"].includes(kind) || text(riff, 8) !== "WAVE")
    throw new FormatError(`wav: expected RIFF ... WAVE, the file begins with "${printable(kind)}"`);

  let format: Omit<WavHeader, "offset" | "length"> | undefined;
  let longSize: number | undefined;
  let offset = 12;
  for (let chunk = 0; chunk < MOST_CHUNKS && offset + 8 <= fileSize; chunk++) {
    const head = view(offset, 8);
    const [name, size] = [text(head, 0), head.getUint32(4, true)];
    const body = offset + 8;
    if (name === "fmt ") format = readFormat(view(body, Math.min(size, 40)));
    else if (name === "ds64" && size >= 16) longSize = Number(view(body, 16).getBigUint64(8, true));
    else if (name === "data") {
      if (format === undefined) throw new FormatError("wav: samples stand before their format");
      const stated = size === UNKNOWN_SIZE ? (longSize ?? fileSize) : size;
      const available = Math.min(stated === 0 ? fileSize : stated, fileSize - body); // a size of 0 is left by streams
      return { ...format, offset: body, length: Math.floor(available / (format.bytes * format.channels)) };
    }
    offset = body + size + (size % 2);
  }
  throw new FormatError("wav: the file holds no samples");
}

function readFormat(view: DataView): Omit<WavHeader, "offset" | "length"> {
  if (view.byteLength < 16) throw new FormatError("wav: the format chunk is too short");
  let tag = view.getUint16(0, true);
  const channels = view.getUint16(2, true);
  const sampleRate = view.getUint32(4, true);
  const block = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  if (tag === 0xfffe) {
    if (view.byteLength < 40) throw new FormatError("wav: the extensible format chunk is too short");
    tag = view.getUint16(24, true);
  }
  if (tag !== 1 && tag !== 3)
    throw new WavEncodingError(`wav: numbers of kind ${tag}; integers (1) and floats (3) are read here`);
  const bytes = block / channels; // numbers may have fewer bits than room
  const sizes = tag === 1 ? [1, 2, 3, 4] : [4, 8];
  if (channels === 0 || !sizes.includes(bytes) || bits > 8 * bytes)
    throw new FormatError(
      `wav: ${channels} channels of ${bits} bits in blocks of ${block} bytes do not fit together`,
    );
  if (sampleRate === 0 || sampleRate > LARGEST_RATE)
    throw new FormatError(`wav: a sampling rate of ${sampleRate} Hz`);
  return { encoding: tag === 1 ? "integer" : "float", bytes, channels, sampleRate };
}

/** Numbers as the file holds them, one block after the other, to one array for each channel; full scale is 1. */
export function decodeWavBlocks(
  { encoding, bytes, channels }: Pick<WavHeader, "encoding" | "bytes" | "channels">,
  data: Uint8Array,
): Float32Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const length = Math.floor(data.byteLength / (bytes * channels));
  const read = numberReader(view, encoding, bytes);
  return Array.from({ length: channels }, (_, channel) => {
    const values = new Float32Array(length);
    for (let i = 0, at = channel * bytes; i < length; i++, at += bytes * channels) values[i] = read(at);
    return values;
  });
}

function numberReader(
  view: DataView,
  encoding: WavHeader["encoding"],
  bytes: number,
): (at: number) => number {
  if (encoding === "float") {
    const finite = (value: number) => (Number.isFinite(value) ? value : 0);
    return bytes === 4
      ? (at) => finite(view.getFloat32(at, true))
      : (at) => finite(view.getFloat64(at, true));
  }
  switch (bytes) {
    case 1:
      return (at) => (view.getUint8(at) - 128) / 128; // eight bits have no sign
    case 2:
      return (at) => view.getInt16(at, true) / 2 ** 15;
    case 3:
      return (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23;
    default:
      return (at) => view.getInt32(at, true) / 2 ** 31;
  }
}

/** A whole wave file in memory. @throws FormatError */
export function decodeWav(bytes: Uint8Array): Waveform {
  const peek = (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const header = parseWavHeader(peek, bytes.length);
  const size = header.length * header.bytes * header.channels;
  const channels = decodeWavBlocks(header, peek(header.offset, size));
  return { channels, sampleRate: header.sampleRate };
}

/** A wave file of 16-bit integers; what is beyond full scale is cut off. */
export function encodeWav({ channels, sampleRate }: Waveform): Uint8Array {
  const [count, length] = [channels.length, channels[0]?.length ?? 0];
  const size = 2 * count * length;
  const bytes = new Uint8Array(44 + size);
  const view = new DataView(bytes.buffer);
  const words = (at: number, letters: string) => {
    for (let i = 0; i < 4; i++) view.setUint8(at + i, letters.charCodeAt(i));
  };
  words(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  words(8, "WAVE");
  words(12, "fmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, count, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * count * sampleRate, true);
  view.setUint16(32, 2 * count, true);
  view.setUint16(34, 16, true);
  words(36, "data");
  view.setUint32(40, size, true);
  channels.forEach((values, channel) => {
    for (let i = 0; i < length; i++) {
      const level = Math.round((values[i] ?? 0) * 2 ** 15);
      view.setInt16(44 + 2 * (i * count + channel), Math.min(Math.max(level, -(2 ** 15)), 2 ** 15 - 1), true);
    }
  });
  return bytes;
}

const text = (view: DataView, at: number) =>
  String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));

const printable = (letters: string) => letters.replace(/[^ -~]/g, "?");
