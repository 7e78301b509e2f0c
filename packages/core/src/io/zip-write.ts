/** Zip archives of stored entries, each entry's data aligned. The same entries always give the same bytes. */
import { expect } from "../errors.js";
import { crc32 } from "./crc32.js";

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** 1 January 1980, the first date a zip archive can hold. */
const DATE = 0x21;

/** PyTorch pads with this field, so that tensors can be mapped into memory. */
const PADDING_FIELD = 0x4246;
const ALIGNMENT = 64;

/** An archive in pieces, so that it can be written without being in memory twice. At most 4 GiB and 65,534 entries. */
export function* encodeZip(entries: Iterable<ZipEntry>): Generator<Uint8Array, void, void> {
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    const key = new TextEncoder().encode(name);
    const unpadded = offset + 30 + key.byteLength + 4;
    const padding = (ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT;
    const header = new Uint8Array(34 + key.byteLength + padding);
    const view = new DataView(header.buffer);
    const common = commonFields(key, bytes);
    view.setUint32(0, 0x04034b50, true);
    header.set(common, 4);
    view.setUint16(28, 4 + padding, true);
    header.set(key, 30);
    view.setUint16(30 + key.byteLength, PADDING_FIELD, true);
    view.setUint16(32 + key.byteLength, padding, true);
    directory.push(centralHeader(common, key, offset));
    yield header;
    yield bytes;
    offset += header.byteLength + bytes.byteLength;
    expect(
      offset < 0xffffffff && directory.length < 0xffff,
      () => `encodeZip: ${name} would pass the limit of 4 GiB and 65,534 entries; write safetensors instead`,
    );
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  yield* directory;
  yield endRecord(directory.length, size, offset);
}

/** The 24 bytes that both of an entry's headers hold: version to name length. */
function commonFields(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const fields = new DataView(new ArrayBuffer(24));
  fields.setUint16(0, 20, true); // version needed
  fields.setUint16(2, 0x0800, true); // the name is UTF-8
  fields.setUint16(8, DATE, true);
  fields.setUint32(10, crc32(bytes), true);
  fields.setUint32(14, bytes.byteLength, true);
  fields.setUint32(18, bytes.byteLength, true);
  fields.setUint16(22, key.byteLength, true);
  return new Uint8Array(fields.buffer);
}

function centralHeader(common: Uint8Array, key: Uint8Array, offset: number): Uint8Array {
  const header = new Uint8Array(46 + key.byteLength);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x02014b50, true);
  view.setUint16(4, 20, true); // version made by
  header.set(common, 6);
  view.setUint32(42, offset, true);
  header.set(key, 46);
  return header;
}

function endRecord(count: number, size: number, offset: number): Uint8Array {
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return new Uint8Array(end.buffer);
}
