import { readFileSync } from "node:fs";
import { createRandom, FormatError } from "@unmask/core";
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { parseTiff, readTiff } from "./tiff.js";

const read = (bytes: Uint8Array) => readTiff(bytes, parseTiff(bytes));

describe("readTiff: files that libtiff wrote", () => {
  const random = createRandom(1);
  const noise = Array.from({ length: 90 * 140 * 3 }, (_, i) => (i % 700 < 300 ? random.int(65536) : 515));

  it.each(
    (["none", "lzw", "deflate", "packbits"] as const).flatMap((compression) =>
      (["none", "horizontal"] as const).flatMap((predictor) =>
        [false, true].flatMap((tile) =>
          ([8, 16] as const).map((bits) => ({ compression, predictor, tile, bits })),
        ),
      ),
    ),
  )("$compression, predictor $predictor, tiles $tile, $bits bits", async ({ bits, tile, ...options }) => {
    const pixels = bits === 8 ? Uint8Array.from(noise) : Uint16Array.from(noise);
    const image = sharp(pixels, { raw: { width: 140, height: 90, channels: 3 } });
    const bytes = await image
      .toColourspace(bits === 8 ? "srgb" : "rgb16")
      .tiff({ ...options, tile, tileWidth: 64, tileHeight: 48 })
      .toBuffer();
    const layout = parseTiff(bytes);
    expect(layout).toMatchObject({ height: 90, width: 140, bands: 3, bits, tiled: tile });
    expect(await readTiff(bytes, layout)).toEqual(pixels);
  });

  const floats: { values: number[]; files: Record<string, string> } = JSON.parse(
    readFileSync(new URL("../../test/fixtures/tiff.json", import.meta.url), "utf8"),
  );
  it.each(Object.entries(floats.files))("floats, %s", async (_, file) => {
    expect(await read(new Uint8Array(Buffer.from(file, "base64")))).toEqual(Float32Array.from(floats.values));
  });
});

interface Picture {
  readonly height: number;
  readonly width: number;
  readonly bands: number;
  /** The values of each block, in the order of the file. */
  readonly blocks: readonly (readonly number[])[];
  readonly write: "Int8" | "Uint16" | "Int16" | "Uint32" | "Float32" | "Float64";
  readonly littleEndian: boolean;
  readonly tags?: readonly (readonly [number, number])[];
}

/** An uncompressed TIFF: header, blocks, lists of their places, directory. */
function writeTiff({ height, width, bands, blocks, write, littleEndian, tags = [] }: Picture): Uint8Array {
  const size = Number(/\d+/.exec(write)![0]) / 8;
  const kind = write.startsWith("U") ? 1 : write.startsWith("I") ? 2 : 3;
  const data = blocks.reduce((sum, block) => sum + block.length * size, 0);
  const lists = 8 + data;
  const directory = lists + blocks.length * 8;
  const view = new DataView(new ArrayBuffer(directory + 2 + 12 * (9 + tags.length) + 4));
  view.setUint16(0, littleEndian ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, littleEndian);
  view.setUint32(4, directory, littleEndian);
  let at = 8;
  blocks.forEach((block, i) => {
    view.setUint32(lists + i * 4, at, littleEndian);
    view.setUint32(lists + (blocks.length + i) * 4, block.length * size, littleEndian);
    for (const value of block) {
      if (write === "Int8") view.setInt8(at, value);
      else view[`set${write}`](at, value, littleEndian);
      at += size;
    }
  });
  const tiled = tags.some(([tag]) => tag === 322);
  const place = (list: number) =>
    blocks.length === 1 ? view.getUint32(lists + list * 4, littleEndian) : lists + list * blocks.length * 4;
  const entries = [
    [256, 1, width],
    [257, 1, height],
    [258, 1, size * 8],
    [259, 1, 1],
    [277, 1, bands],
    [339, 1, kind],
    [tiled ? 324 : 273, blocks.length, place(0)],
    [tiled ? 325 : 279, blocks.length, place(1)],
    [262, 1, 1],
    ...tags.map(([tag, value]) => [tag, 1, value]),
  ] as const;
  view.setUint16(directory, entries.length, littleEndian);
  entries.forEach(([tag, count, value], i) => {
    const entry = directory + 2 + i * 12;
    view.setUint16(entry, tag!, littleEndian);
    view.setUint16(entry + 2, 4, littleEndian);
    view.setUint32(entry + 4, count!, littleEndian);
    view.setUint32(entry + 8, value!, littleEndian);
  });
  return new Uint8Array(view.buffer);
}

const ramp = (length: number, start: number, step = 1) => Array.from({ length }, (_, i) => start + i * step);

describe("readTiff: layouts", () => {
  it.each(["Int8", "Uint16", "Int16", "Uint32", "Float32", "Float64"] as const)(
    "%s in both byte orders",
    async (write) => {
      const values = write.startsWith("U") ? ramp(30, 3, 7) : ramp(30, -60, 4);
      for (const littleEndian of [true, false]) {
        const file = writeTiff({ height: 2, width: 3, bands: 5, blocks: [values], write, littleEndian });
        const pixels = await read(file);
        expect([...pixels]).toEqual(values);
        expect(pixels).toBeInstanceOf(write === "Uint16" ? Uint16Array : Float32Array);
      }
    },
  );

  it("puts together bands that stand apart, in strips with a short last one", async () => {
    // Band b has b * 100 + row * 10 + column; strips of two rows.
    const strip = (band: number, rows: number[]) =>
      rows.flatMap((row) => [0, 1].map((x) => band * 100 + row * 10 + x));
    const blocks = [0, 1, 2].flatMap((band) => [strip(band, [0, 1]), strip(band, [2])]);
    const tags = [
      [284, 2],
      [278, 2],
    ] as const;
    const file = writeTiff({
      height: 3,
      width: 2,
      bands: 3,
      blocks,
      write: "Int16",
      littleEndian: true,
      tags,
    });
    expect([...(await read(file))]).toEqual(
      [0, 1, 2].flatMap((row) => [0, 1].flatMap((x) => [0, 1, 2].map((band) => band * 100 + row * 10 + x))),
    );
  });

  it("cuts tiles at the edges", async () => {
    const tile = (top: number, left: number) =>
      [0, 1].flatMap((y) => [0, 1].map((x) => (top + y) * 10 + left + x));
    const blocks = [tile(0, 0), tile(0, 2), tile(2, 0), tile(2, 2)];
    const tags = [
      [322, 2],
      [323, 2],
    ] as const;
    const file = writeTiff({
      height: 3,
      width: 3,
      bands: 1,
      blocks,
      write: "Int16",
      littleEndian: false,
      tags,
    });
    expect([...(await read(file))]).toEqual([0, 1, 2, 10, 11, 12, 20, 21, 22]);
  });
});

describe("readTiff: damage", () => {
  const small = writeTiff({
    height: 4,
    width: 3,
    bands: 2,
    blocks: [ramp(12, 0), ramp(12, 100)],
    write: "Int16",
    littleEndian: true,
    tags: [[278, 2]],
  });

  it("names what it does not read", () => {
    const with_ = (tag: number, value: number) =>
      writeTiff({
        height: 1,
        width: 1,
        bands: 1,
        blocks: [[1]],
        write: "Int16",
        littleEndian: true,
        tags: [[tag, value]],
      });
    expect(() => parseTiff(with_(259, 50000))).toThrow(/compression 50000 is not read/);
    expect(() => parseTiff(with_(258, 12))).toThrow(/numbers of 12 bits/);
    expect(() => parseTiff(with_(257, 2 ** 31))).toThrow(/exceed the limit/);
    expect(() => parseTiff(with_(257, 10000))).toThrow(/cannot hold a block/);
    expect(() => parseTiff(small.subarray(0, small.length - 30))).toThrow(/cut short/);
  });

  it("throws a FormatError or gives as many pixels as it says, whatever bytes are changed", async () => {
    const pixels = Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => (i * i) % 251);
    const image = sharp(pixels, { raw: { width: 40, height: 40, channels: 3 } });
    const files = [small];
    for (const compression of ["lzw", "deflate", "packbits"] as const)
      files.push(new Uint8Array(await image.tiff({ compression, predictor: "horizontal" }).toBuffer()));
    const change = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 255 }));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(change, { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0.1, max: 1.5, noNaN: true }),
        async (file, changes, kept) => {
          const bytes = file.slice(0, Math.ceil(file.length * kept));
          // The directory stands at either end, so that changes there are wanted most.
          for (const [where, value] of changes)
            bytes[
              Math.floor((where < 0.5 ? 2 * where * where : 1 - 2 * (1 - where) ** 2) * (bytes.length - 1))
            ] = value;
          try {
            const { height, width, bands } = parseTiff(bytes);
            expect((await read(bytes)).length).toBe(height * width * bands);
          } catch (error) {
            if (!(error instanceof FormatError)) throw error;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
