/** Damages files and expects a reader to give a value or a FormatError, nothing else. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { FormatError } from "../src/errors.js";

export function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`fixtures/io/${name}`, import.meta.url)));
}

/** "refused" for a FormatError, "read" for a value; any other error is thrown on. */
export function outcome(parse: () => unknown): "read" | "refused" {
  try {
    parse();
    return "read";
  } catch (error) {
    if (error instanceof FormatError) return "refused";
    throw error;
  }
}

/** How many of the proper prefixes of `bytes` the reader took for a whole file. */
export function truncationsRead(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): number {
  let read = 0;
  for (let length = 0; length < bytes.length; length++)
    if (outcome(() => parse(bytes.slice(0, length))) === "read") read++;
  return read;
}

/** Overwrites up to four random bytes, or four in a row with an extreme number, many times over. */
export function fuzz(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array, numRuns = 2000): void {
  const position = fc.nat(bytes.length - 1);
  const flips = fc.array(fc.tuple(position, fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  const extreme = fc
    .tuple(position, fc.constantFrom(0, 0xff, 0x7f, 0x80), fc.integer({ min: 1, max: 8 }))
    .map(([at, byte, count]) => Array.from({ length: count }, (_, i): [number, number] => [at + i, byte]));
  fc.assert(
    fc.property(fc.oneof(flips, extreme), (changes) => {
      const damaged = bytes.slice();
      for (const [at, byte] of changes) if (at < damaged.length) damaged[at] = byte;
      outcome(() => parse(damaged));
    }),
    { numRuns },
  );
}

/** Bytes that have nothing to do with the format, some with its first bytes. */
export function fuzzRandom(parse: (bytes: Uint8Array) => unknown, magic: readonly number[]): void {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (random, withMagic) => {
      outcome(() => parse(withMagic ? Uint8Array.from([...magic, ...random]) : random));
    }),
    { numRuns: 1000 },
  );
}
