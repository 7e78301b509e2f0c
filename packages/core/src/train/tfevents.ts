/**
 * TensorBoard's event files: records of length, masked crc32c, data, masked crc32c, each holding one `Event` message.
 * Sources: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, framework/summary.proto.
 */

/** First record of a file. */
export function versionRecord(seconds: number): Uint8Array {
  const version = new TextEncoder().encode("brain.Event:2");
  return record(concat([double(1, seconds), bytesField(3, version)]));
}

/** One step's scalars by tag. */
export function scalarsRecord(
  step: number,
  scalars: Readonly<Record<string, number>>,
  seconds: number,
): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytesField(1, concat([bytesField(1, new TextEncoder().encode(tag)), float(2, value)])),
  );
  return record(concat([double(1, seconds), varintField(2, step), bytesField(5, concat(values))]));
}

function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.byteLength + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.byteLength), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.byteLength, maskedCrc(data), true);
  return bytes;
}

// Wire types of protocol buffers: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

const varintField = (field: number, value: number) => concat([varint(field << 3), varint(value)]);

const bytesField = (field: number, bytes: Uint8Array) =>
  concat([varint((field << 3) | 2), varint(bytes.byteLength), bytes]);

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = (field << 3) | 1;
  new DataView(bytes.buffer).setFloat64(1, value, true);
  return bytes;
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = (field << 3) | 5;
  new DataView(bytes.buffer).setFloat32(1, value, true);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** Castagnoli's polynomial, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1;
  return c;
});

function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
