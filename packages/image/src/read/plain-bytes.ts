/** The same memory as a plain array: a Buffer's `slice` would give users of a sample a view where they expect a copy. */
export function plainBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
