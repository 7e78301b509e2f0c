/** Wave files on disk, read piece by piece. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { FormatError } from "@unmask/core/errors";
import type { Waveform } from "../sample.js";
import { decodeWavBlocks, parseWavHeader, type WavHeader } from "./wav.js";

/** Moments in time that are decoded at once. */
const PIECE = 2 ** 16;

/** @throws FormatError */
export function readWavHeader(path: string): WavHeader {
  const file = openSync(path, "r");
  try {
    const peek = (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
    };
    const { size } = fstatSync(file);
    if (size === 0) throw new FormatError("the file is empty");
    return parseWavHeader(peek, size);
  } finally {
    closeSync(file);
  }
}

/** The sound from moment `first` on, at most `count` moments of it. */
export async function* wavPieces(
  path: string,
  header: WavHeader,
  first: number,
  count: number,
): AsyncGenerator<Waveform> {
  const block = header.bytes * header.channels;
  const end = Math.min(header.length, first + count);
  const file = await open(path, "r");
  try {
    for (let at = first; at < end; at += PIECE) {
      const bytes = new Uint8Array(Math.min(PIECE, end - at) * block);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, header.offset + at * block);
      const channels = decodeWavBlocks(header, bytes.subarray(0, bytesRead));
      yield { channels, sampleRate: header.sampleRate };
      if (bytesRead < bytes.length) return; // cut short while it was read
    }
  } finally {
    await file.close();
  }
}
