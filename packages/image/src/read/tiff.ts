/**
 * TIFFs of any number of bands and any kind of number, as satellites and microscopes write them: strips or tiles, bands
 * together or apart, uncompressed, LZW, deflate or PackBits. The first picture of a file is read.
 * Source: TIFF 6.0 and Adobe's technical notes 1 and 3.
 */
import { FormatError } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import { type BlockCoding, COMPRESSIONS, decodeBlock, type NumberKind } from "./tiff-block.js";

export interface TiffLayout extends BlockCoding {
  readonly height: number;
  readonly width: number;
  readonly bands: number;
  /** Strips are blocks as wide as the picture. */
  readonly blockHeight: number;
  readonly blockWidth: number;
  readonly tiled: boolean;
  /** Each band has blocks of its own. */
  readonly apart: boolean;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
}

const TAG = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  stripOffsets: 273,
  bands: 277,
  rowsPerStrip: 278,
  stripLengths: 279,
  planar: 284,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileLengths: 325,
  kind: 339,
};

/** Bytes of each field type that holds whole numbers: byte, short, long. */
const FIELD_BYTES = new Map([
  [1, 1],
  [3, 2],
  [4, 4],
]);

/** As many values as libvips accepts pixels. */
const MAX_VALUES = 0x3fff ** 2;
/** No compression here expands further. */
const MAX_EXPANSION = 4096;

const fail = (reason: string): never => {
  throw new FormatError(`tiff: ${reason}`);
};

/** Reads what the file says of its first picture, and checks that all its blocks lie inside the file. */
export function parseTiff(bytes: Uint8Array): TiffLayout {
  const { fields, littleEndian } = readFields(bytes);
  const one = (tag: number, otherwise?: number): number =>
    fields.get(tag)?.[0] ?? otherwise ?? fail(`lacks tag ${tag}; the file is damaged`);
  const [height, width, bands] = [one(TAG.height), one(TAG.width), one(TAG.bands, 1)];
  if (height === 0 || width === 0 || bands === 0)
    fail(`${height}x${width} pixels of ${bands} bands; the file is damaged`);
  if (height * width * bands > MAX_VALUES)
    fail(`${height}x${width} pixels of ${bands} bands exceed the limit of ${MAX_VALUES} values`);

  const tiled = fields.has(TAG.tileWidth);
  const blockHeight = tiled ? one(TAG.tileHeight) : Math.min(height, one(TAG.rowsPerStrip, height));
  const blockWidth = tiled ? one(TAG.tileWidth) : width;
  const apart = one(TAG.planar, 1) === 2;
  const layout: TiffLayout = {
    height,
    width,
    bands,
    blockHeight,
    blockWidth,
    tiled,
    apart,
    littleEndian,
    blockBands: apart ? 1 : bands,
    compression: COMPRESSIONS.get(one(TAG.compression, 1)) ?? fail(unknownCompression(one(TAG.compression))),
    predictor: predictorOf(one(TAG.predictor, 1)),
    ...numbersOf(fields.get(TAG.bits) ?? [1], fields.get(TAG.kind) ?? [1]),
    offsets: fields.get(tiled ? TAG.tileOffsets : TAG.stripOffsets) ?? [],
    lengths: fields.get(tiled ? TAG.tileLengths : TAG.stripLengths) ?? [],
  };
  checkBlocks(layout, bytes.byteLength);
  return layout;
}

/** The pixels [height, width, bands]: bytes and 16-bit unsigned numbers as they are, all others as floats. */
export async function readTiff(bytes: Uint8Array, layout: TiffLayout): Promise<ImageSample["pixels"]> {
  const { height, width, bands, blockHeight, blockWidth, blockBands, tiled } = layout;
  const pixels = emptyPixels(layout, height * width * bands);
  const [down, across] = [Math.ceil(height / blockHeight), Math.ceil(width / blockWidth)];
  for (let block = 0; block < down * across * (bands / blockBands); block++) {
    const band = Math.floor(block / (down * across));
    const top = (Math.floor(block / across) % down) * blockHeight;
    const left = (block % across) * blockWidth;
    const rows = Math.min(blockHeight, height - top);
    const columns = Math.min(blockWidth, width - left);
    const start = layout.offsets[block]!;
    const values = await decodeBlock(bytes.subarray(start, start + layout.lengths[block]!), layout, {
      rows: tiled ? blockHeight : rows,
      columns: blockWidth,
    });
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        for (let c = 0; c < blockBands; c++)
          pixels[((top + y) * width + left + x) * bands + band + c] =
            values[(y * blockWidth + x) * blockBands + c]!;
  }
  return pixels;
}

function emptyPixels({ kind, bits }: TiffLayout, length: number): ImageSample["pixels"] {
  if (kind === "unsigned" && bits === 8) return new Uint8Array(length);
  return kind === "unsigned" && bits === 16 ? new Uint16Array(length) : new Float32Array(length);
}

/** The whole-number fields of the first directory, by tag. */
function readFields(bytes: Uint8Array): { fields: Map<number, number[]>; littleEndian: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const within = (start: number, length: number) => {
    if (start + length > bytes.byteLength) fail("a directory lies outside the file; it was cut short");
    return start;
  };
  const order = view.getUint16(within(0, 8), false);
  const littleEndian = order === 0x4949;
  const version = view.getUint16(2, littleEndian);
  if (version === 43) fail("BigTIFF is not read; write it as plain TIFF");
  if ((!littleEndian && order !== 0x4d4d) || version !== 42) fail("the file does not begin as a TIFF does");

  const directory = view.getUint32(4, littleEndian);
  const entries = view.getUint16(within(directory, 2), littleEndian);
  within(directory + 2, entries * 12);
  const fields = new Map<number, number[]>();
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    const size = FIELD_BYTES.get(view.getUint16(entry + 2, littleEndian));
    if (size === undefined) continue;
    const count = view.getUint32(entry + 4, littleEndian);
    const start = count * size <= 4 ? entry + 8 : view.getUint32(entry + 8, littleEndian);
    within(start, count * size);
    const read = (at: number) =>
      size === 1
        ? view.getUint8(at)
        : size === 2
          ? view.getUint16(at, littleEndian)
          : view.getUint32(at, littleEndian);
    const tag = view.getUint16(entry, littleEndian);
    fields.set(
      tag,
      Array.from({ length: count }, (_, k) => read(start + k * size)),
    );
  }
  return { fields, littleEndian };
}

const KINDS: ReadonlyMap<number, NumberKind> = new Map([
  [1, "unsigned"],
  [2, "signed"],
  [3, "float"],
]);

function numbersOf(bits: readonly number[], kinds: readonly number[]): { bits: number; kind: NumberKind } {
  const kind = KINDS.get(kinds[0]!);
  const known = kind === "float" ? [32, 64] : [8, 16, 32];
  if (!kind || !known.includes(bits[0]!) || new Set(bits).size > 1 || new Set(kinds).size > 1)
    fail(
      `numbers of ${bits} bits and kind ${kinds} are not read; write 8, 16 or 32 bits, the same for all bands`,
    );
  return { bits: bits[0]!, kind: kind! };
}

function predictorOf(predictor: number): 1 | 2 | 3 {
  if (predictor !== 1 && predictor !== 2 && predictor !== 3)
    fail(`predictor ${predictor} is unknown; the file is damaged`);
  return predictor as 1 | 2 | 3;
}

function unknownCompression(compression: number): string {
  return `compression ${compression} is not read; write it uncompressed, with LZW or with deflate`;
}

function checkBlocks(layout: TiffLayout, fileBytes: number): void {
  const { height, width, bands, bits, blockHeight, blockWidth, blockBands, offsets, lengths } = layout;
  const blockBytes = (blockHeight * blockWidth * blockBands * bits) / 8;
  if (blockHeight === 0 || blockWidth === 0)
    fail(`blocks of ${blockHeight}x${blockWidth}; the file is damaged`);
  const blocks = Math.ceil(height / blockHeight) * Math.ceil(width / blockWidth) * (bands / blockBands);
  if (offsets.length < blocks || lengths.length < blocks)
    fail(
      `${blocks} blocks are needed, ${Math.min(offsets.length, lengths.length)} listed; the file is damaged`,
    );
  for (let i = 0; i < blocks; i++) {
    if (offsets[i]! + lengths[i]! > fileBytes) fail("pixels lie outside the file; it was cut short");
    // A lone block may be larger than the picture, and empty of all but a promise.
    if (blockBytes > lengths[i]! * MAX_EXPANSION)
      fail(`${lengths[i]} bytes cannot hold a block of ${blockBytes}; the file is damaged`);
  }
}
