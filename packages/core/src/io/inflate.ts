/** Inflation that never writes more than was announced. */
import { Inflate } from "fflate";
import { FormatError } from "../errors.js";
import { concatBytes } from "./byte-source.js";

/** DEFLATE cannot expand further than this; a larger claim is false before a byte is read. */
export const MAX_DEFLATE_RATIO = 1032;

/** Compressed bytes handed over at a time, so that one turn inflates to 16 MiB at most. */
const TURN = 16384;

/**
 * Inflates a raw DEFLATE stream. `sizeOf` is given the first bytes as they come until it knows the whole size; exactly
 * that many bytes must follow.
 * @throws FormatError, beginning with `what`, when the stream is damaged or has another size.
 */
export function inflate(
  compressed: Uint8Array,
  sizeOf: (start: Uint8Array) => number | undefined,
  what: string,
): Uint8Array {
  let start: Uint8Array = new Uint8Array(0);
  let out: Uint8Array | undefined;
  let written = 0;
  const append = (chunk: Uint8Array) => {
    if (out === undefined) {
      start = concatBytes([start, chunk]);
      const size = sizeOf(start);
      if (size === undefined) return;
      if (size > (compressed.byteLength + 1) * MAX_DEFLATE_RATIO)
        throw new FormatError(
          `${what}: ${compressed.byteLength} bytes cannot inflate to ${size}; the file is damaged`,
        );
      out = new Uint8Array(size);
      chunk = start;
    }
    if (written + chunk.byteLength > out.byteLength)
      throw new FormatError(
        `${what}: inflates to more than the announced ${out.byteLength} bytes; it is damaged`,
      );
    out.set(chunk, written);
    written += chunk.byteLength;
  };
  const stream = new Inflate(append);
  try {
    for (let i = 0; i === 0 || i < compressed.byteLength; i += TURN)
      stream.push(compressed.subarray(i, i + TURN), i + TURN >= compressed.byteLength);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError(`${what}: damaged compressed data (${(error as Error).message})`, { cause: error });
  }
  if (out === undefined || written < out.byteLength)
    throw new FormatError(
      `${what}: inflates to ${written} bytes, fewer than announced; the file was cut short`,
    );
  return out;
}
