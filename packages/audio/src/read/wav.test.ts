import { FormatError } from "@unmask/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeWav, encodeWav, WavEncodingError } from "./wav.js";

interface Form {
  readonly tag: number;
  readonly bytes: number;
  readonly channels: number;
  readonly extensible?: boolean;
}

/** A wave file of the given numbers, with a chunk that nobody knows before its samples. */
function wavOf(
  body: Uint8Array,
  { tag, bytes, channels, extensible = false }: Form,
  { kind = "RIFF", size = body.length } = {},
) {
  const header = new DataView(new ArrayBuffer(extensible ? 40 : 16));
  header.setUint16(0, extensible ? 0xfffe : tag, true);
  header.setUint16(2, channels, true);
  header.setUint32(4, 8000, true);
  header.setUint32(8, 8000 * bytes * channels, true);
  header.setUint16(12, bytes * channels, true);
  header.setUint16(14, 8 * bytes, true);
  if (extensible) header.setUint16(24, tag, true);
  const chunk = (name: string, content: Uint8Array, stated = content.length) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, stated, true);
    return [...Buffer.from(name), ...length, ...content, ...(content.length % 2 ? [0] : [])];
  };
  return Uint8Array.from([
    ...Buffer.from(`${kind}\0\0\0\0WAVE`),
    ...chunk("LIST", Uint8Array.of(1, 2, 3)),
    ...chunk("fmt ", new Uint8Array(header.buffer)),
    ...chunk("data", body, size),
  ]);
}

const bytesOf = (length: number, write: (view: DataView, i: number) => void, count: number) => {
  const view = new DataView(new ArrayBuffer(length));
  for (let i = 0; i < count; i++) write(view, i);
  return new Uint8Array(view.buffer);
};

it.each([
  ["8 bits", { tag: 1, bytes: 1 }, Uint8Array.of(0, 64, 128, 192), [-1, -0.5, 0, 0.5]],
  [
    "16 bits",
    { tag: 1, bytes: 2 },
    bytesOf(8, (v, i) => v.setInt16(2 * i, [-32768, -16384, 0, 16384][i]!, true), 4),
    [-1, -0.5, 0, 0.5],
  ],
  [
    "24 bits",
    { tag: 1, bytes: 3 },
    Uint8Array.of(0, 0, 0x80, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0x40),
    [-1, -0.5, 0, 0.5],
  ],
  [
    "32 bits",
    { tag: 1, bytes: 4 },
    bytesOf(16, (v, i) => v.setInt32(4 * i, [-(2 ** 31), -(2 ** 30), 0, 2 ** 30][i]!, true), 4),
    [-1, -0.5, 0, 0.5],
  ],
  [
    "floats",
    { tag: 3, bytes: 4 },
    bytesOf(16, (v, i) => v.setFloat32(4 * i, [-1, 1.5, Number.NaN, 0.5][i]!, true), 4),
    [-1, 1.5, 0, 0.5],
  ],
  [
    "doubles",
    { tag: 3, bytes: 8 },
    bytesOf(32, (v, i) => v.setFloat64(8 * i, [-1, 0.25, 0, 0.5][i]!, true), 4),
    [-1, 0.25, 0, 0.5],
  ],
])("reads %s, plain and extensible, in one channel and in four", (_, form, body, values) => {
  for (const extensible of [false, true]) {
    const one = decodeWav(wavOf(body, { ...form, channels: 1, extensible }));
    expect(one.sampleRate).toBe(8000);
    expect(one.channels.map((channel) => [...channel])).toEqual([values]);
    const four = decodeWav(wavOf(body, { ...form, channels: 4, extensible }));
    expect(four.channels.map((channel) => [...channel])).toEqual(values.map((value) => [value]));
  }
});

it("reads what is there of a file that was cut short or never told its length", () => {
  const body = Uint8Array.of(0, 64, 0, 192, 7);
  const form = { tag: 1, bytes: 2, channels: 1 };
  for (const size of [5000, 0, 0xffffffff])
    expect(decodeWav(wavOf(body, form, { size }).slice(0, -1)).channels[0]).toEqual(
      Float32Array.of(0.5, -0.5),
    );
});

it("reads back what it wrote, cut off at full scale", () => {
  const channels = [Float32Array.of(0, 0.5, -1, 3), Float32Array.of(-0.25, 0, 0, -3)];
  const read = decodeWav(encodeWav({ channels, sampleRate: 44100 }));
  expect(read.sampleRate).toBe(44100);
  expect(read.channels[0]).toEqual(Float32Array.of(0, 0.5, -1, 32767 / 32768));
  expect(read.channels[1]).toEqual(Float32Array.of(-0.25, 0, 0, -1));
});

it("says what is wrong with files that are none", () => {
  const body = new Uint8Array(4);
  const form = { tag: 1, bytes: 2, channels: 1 };
  expect(() => decodeWav(new Uint8Array(0))).toThrow("ends inside its header");
  expect(() => decodeWav(Buffer.from("OggS, and so on and on"))).toThrow('begins with "OggS"');
  expect(() => decodeWav(wavOf(body, { ...form, tag: 17 }))).toThrow(WavEncodingError);
  expect(() => decodeWav(wavOf(body, { ...form, bytes: 0 }))).toThrow("do not fit together");
  expect(() => decodeWav(wavOf(body, { ...form, channels: 0 }))).toThrow("0 channels");
});

it("gives sound or a FormatError for any bytes, and no more sound than bytes", () => {
  const valid = wavOf(new Uint8Array(64), { tag: 1, bytes: 2, channels: 2, extensible: true });
  const change = fc.record({ at: fc.nat(valid.length - 1), to: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), fc.nat(valid.length), (changes, length) => {
      const bytes = valid.slice(0, length);
      for (const { at, to } of changes) if (at < length) bytes[at] = to;
      try {
        const { channels } = decodeWav(bytes);
        expect(channels.reduce((sum, values) => sum + values.length, 0)).toBeLessThanOrEqual(bytes.length);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});
