/** Random access to bytes, whether they are in memory or in a file. */
import { FormatError } from "../errors.js";

export interface ByteSource {
  readonly size: number;
  /** Bytes `offset` to `offset + length`, which the caller has checked to be inside `size`. May be a view. */
  read(offset: number, length: number): Uint8Array;
}

export function memorySource(bytes: Uint8Array): ByteSource {
  return { size: bytes.byteLength, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** The chunks one after the other, in memory of their own. */
export function concatBytes(chunks: Iterable<Uint8Array>): Uint8Array {
  const parts = [...chunks];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.byteLength;
  }
  return all;
}

/**
 * What a file may make its reader allocate beyond views of its own bytes. Weights hardly compress, so a file that
 * expands a hundredfold is an attack or is damaged; small files may expand to 64 MiB whatever the ratio.
 */
export class ExpansionBudget {
  private left: number;
  constructor(
    fileBytes: number,
    private readonly what: string,
  ) {
    this.left = 64 * 2 ** 20 + 100 * fileBytes;
  }
  take(bytes: number): void {
    this.left -= bytes;
    if (this.left < 0)
      throw new FormatError(
        `${this.what}: would expand to over a hundred times its size; it is damaged or hostile`,
      );
  }
}
