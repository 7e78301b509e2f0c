import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixture, outcome } from "../../test/fuzz.js";
import { FormatError } from "../errors.js";
import { concatBytes, memorySource } from "./byte-source.js";
import { crc32 } from "./crc32.js";
import { inflate } from "./inflate.js";
import { openZip } from "./zip.js";
import { encodeZip } from "./zip-write.js";

const open = (bytes: Uint8Array) => openZip(memorySource(bytes), "test");
const two = () =>
  concatBytes(
    encodeZip([
      { name: "a", bytes: Uint8Array.of(1, 2, 3) },
      { name: "folder/b", bytes: new Uint8Array(0) },
    ]),
  );
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const central = (bytes: Uint8Array) => view(bytes).getUint32(bytes.length - 6, true);

it("crc32 equals its definition, bit by bit", () => {
  const bitwise = (bytes: Uint8Array) => {
    let crc = 0xffffffff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
    }
    return ~crc >>> 0;
  };
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926); // the check value of the standard
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(7), (bytes, skip) => {
      expect(crc32(bytes.subarray(skip))).toBe(bitwise(bytes.subarray(skip)));
    }),
  );
});

describe("openZip", () => {
  it("reads what encodeZip wrote", () => {
    const zip = open(two());
    expect(zip.names).toEqual(["a", "folder/b"]);
    expect([...zip.read("a")]).toEqual([1, 2, 3]);
    expect(zip.read("folder/b").length).toBe(0);
    expect(() => zip.read("c")).toThrow(/no entry c/);
  });

  it("reads an archive with a comment", () => {
    const bytes = concatBytes([two(), new TextEncoder().encode("comment")]);
    view(bytes).setUint16(bytes.length - 7 - 2, 7, true);
    expect([...open(bytes).read("a")]).toEqual([1, 2, 3]);
  });

  it("reads zip64 sizes (Python writes them for deflated.pth)", () => {
    expect(new TextDecoder().decode(open(fixture("deflated.pth")).read("archive/byteorder"))).toBe("little");
  });

  it.each(["../a", "/a", "a/../b", "..", "a\\b", "a\0b", ""])("refuses an entry named %j", (name) => {
    const bytes = concatBytes(encodeZip([{ name, bytes: Uint8Array.of(1) }]));
    expect(outcome(() => open(bytes))).toBe("refused");
  });

  it("refuses entries of one name, entries that share bytes, encryption and other methods", () => {
    const same = { name: "a", bytes: Uint8Array.of(1) };
    expect(() => open(concatBytes(encodeZip([same, same])))).toThrow(/two entries are named a/);
    const overlapping = two();
    const second = central(overlapping) + 46 + 1;
    view(overlapping).setUint32(second + 42, 0, true);
    expect(() => open(overlapping)).toThrow(/overlaps/);
    const encrypted = two();
    view(encrypted).setUint16(central(encrypted) + 8, 1, true);
    expect(() => open(encrypted)).toThrow(/encrypted/);
    const lzma = two();
    view(lzma).setUint16(central(lzma) + 10, 14, true);
    expect(() => open(lzma)).toThrow(/method 14/);
  });

  it("refuses an entry whose own header disagrees, and sizes that cannot be", () => {
    const renamed = two();
    renamed[30] = 0x7a;
    expect(() => open(renamed).read("a")).toThrow(/another name/);
    const huge = two();
    view(huge).setUint32(central(huge) + 24, 0xfffffffe, true);
    expect(() => open(huge)).toThrow(/cannot hold 4294967294 bytes in 3/);
    const bomb = two();
    view(bomb).setUint16(central(bomb) + 10, 8, true);
    view(bomb).setUint32(central(bomb) + 24, 0xfffffffe, true);
    expect(() => open(bomb)).toThrow(/cannot hold/);
  });
});

describe("inflate", () => {
  const plain = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) % 17);
  const packed = new Uint8Array(deflateRawSync(plain));

  it("gives the bytes when the size is right, also learnt from the first bytes", () => {
    expect(inflate(packed, () => plain.length, "test")).toEqual(plain);
    expect(inflate(packed, (head) => (head.length < 4 ? undefined : plain.length), "test")).toEqual(plain);
    expect(inflate(new Uint8Array(deflateRawSync(new Uint8Array(0))), () => 0, "test").length).toBe(0);
  });

  it("refuses streams that are longer or shorter than announced, and a size that cannot be", () => {
    expect(() => inflate(packed, () => plain.length - 1, "test")).toThrow(/more than the announced/);
    expect(() => inflate(packed, () => plain.length + 1, "test")).toThrow(/fewer than announced/);
    expect(() => inflate(packed, () => 2 ** 40, "test")).toThrow(/cannot inflate to/);
    expect(() => inflate(packed, () => undefined, "test")).toThrow(FormatError);
  });

  it("stops a bomb at the announced size", () => {
    const bomb = new Uint8Array(deflateRawSync(new Uint8Array(2 ** 26)));
    expect(() => inflate(bomb, () => 1000, "test")).toThrow(/more than the announced 1000/);
  });
});
