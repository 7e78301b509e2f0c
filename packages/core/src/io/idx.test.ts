import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { fuzz, fuzzRandom, truncationsRead } from "../../test/fuzz.js";
import { FormatError } from "../errors.js";
import { parseIdx } from "./idx.js";
import { typedView } from "./raw-tensor.js";

const images = Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 9, 8, 7, 6, 5, 4]);
const zipped = (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes));

describe("parseIdx", () => {
  it("reads images plain, as a view, and gzipped", () => {
    const raw = parseIdx(images);
    expect(raw).toEqual({ dtype: "U8", shape: [2, 1, 3], bytes: Uint8Array.of(9, 8, 7, 6, 5, 4) });
    expect(raw.bytes.buffer).toBe(images.buffer);
    expect(parseIdx(zipped(images))).toEqual(raw);
  });

  it("reads big-endian numbers", () => {
    expect([...typedView(parseIdx(Uint8Array.of(0, 0, 0x0b, 1, 0, 0, 0, 2, 1, 0, 0xff, 0xfe)))]).toEqual([
      256, -2,
    ]);
    expect([...typedView(parseIdx(Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0)))]).toEqual([
      1.5,
    ]);
    expect([
      ...typedView(parseIdx(Uint8Array.of(0, 0, 0x0e, 1, 0, 0, 0, 1, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0))),
    ]).toEqual([1.5]);
  });

  it("reads a gzip with a name, a comment, an extra field and a header checksum", () => {
    const plain = zipped(images);
    const extras = [2, 0, 1, 2, ...new TextEncoder().encode("name\0comment\0"), 0, 0];
    const full = Uint8Array.from([
      ...plain.subarray(0, 3),
      0x1e,
      ...plain.subarray(4, 10),
      ...extras,
      ...plain.subarray(10),
    ]);
    expect(parseIdx(full)).toEqual(parseIdx(images));
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /0 bytes/],
    ["another format", Uint8Array.of(0x89, 0x50, 0x4e, 0x47), /does not begin/],
    ["an unknown type", Uint8Array.of(0, 0, 7, 1, 0, 0, 0, 0), /known type/],
    ["data cut short", images.subarray(0, 20), /takes 22 bytes, got 20/],
    ["data that go on", Uint8Array.from([...images, 0]), /got 23/],
    [
      "a product beyond 2^53",
      Uint8Array.from([0, 0, 8, 3, ...new Array<number>(12).fill(255)]),
      /larger than any file/,
    ],
    ["too many axes", Uint8Array.from([0, 0, 8, 255, ...new Array<number>(1020).fill(0)]), /at most 64 axes/],
    ["a gzip of something else", zipped(Uint8Array.of(1, 2, 3, 4)), /does not begin/],
    [
      "a gzip that announces more than it could hold",
      zipped(Uint8Array.of(0, 0, 8, 1, 255, 255, 255, 255)),
      /cannot inflate/,
    ],
    [
      "a gzip that inflates past its header",
      zipped(Uint8Array.from([...images, ...new Uint8Array(2 ** 24)])),
      /more than the announced 22/,
    ],
    ["a gzip whose data are fewer", zipped(images.subarray(0, 20)), /fewer than announced/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parseIdx(bytes)).toThrow(FormatError);
    expect(() => parseIdx(bytes)).toThrow(message);
  });

  it("notices a wrong gzip checksum", () => {
    const bytes = zipped(images);
    bytes[bytes.length - 8]! ^= 1;
    expect(() => parseIdx(bytes)).toThrow(/checksum/);
  });

  it("takes no prefix for a whole file, and damage only ends in FormatError", () => {
    for (const bytes of [images, zipped(images)]) {
      expect(truncationsRead(parseIdx, bytes)).toBe(0);
      fuzz(parseIdx, bytes);
    }
    fuzzRandom(parseIdx, [0, 0, 8]);
    fuzzRandom(parseIdx, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]);
  });
});
