/** Sound files of every kind: how long they are, and their sound, whole or piece by piece. */
import { stat } from "node:fs/promises";
import { FormatError } from "@unmask/core/errors";
import type { Waveform } from "../sample.js";
import { concatenate, createResampler, type Resampler } from "./resample.js";
import { WavEncodingError, type WavHeader } from "./wav.js";
import { readWavHeader, wavPieces } from "./wav-file.js";

export interface AudioInfo {
  /** Hz */
  readonly sampleRate: number;
  readonly channels: number;
  /** Seconds; 0 where the file does not say. */
  readonly duration: number;
}

/** A part of a file, in seconds. */
export interface Part {
  /** Default 0. */
  readonly start?: number;
  /** Default all there is. */
  readonly duration?: number;
}

/** @throws FormatError where it is no sound file */
export async function audioInfo(path: string): Promise<AudioInfo> {
  const wav = wavHeaderOf(path);
  if (wav === undefined) {
    await expectBytes(path);
    return (await import("./av-file.js")).readAvHeader(path);
  }
  return { sampleRate: wav.sampleRate, channels: wav.channels, duration: wav.length / wav.sampleRate };
}

/** A file's sound as it is, or a part of it. @throws FormatError */
export async function readAudio(path: string, part: Part = {}): Promise<Waveform> {
  const pieces: Waveform[] = [];
  for await (const piece of audioPieces(path, part)) pieces.push(piece);
  const { sampleRate, channels } = pieces[0]!;
  return {
    channels: channels.map((_, channel) => concatenate(pieces.map((piece) => piece.channels[channel]!))),
    sampleRate,
  };
}

export interface StreamOptions extends Part {
  /** Hz; the file's when absent. */
  readonly sampleRate?: number;
  /** 1 mixes all channels, 2 takes the first two (or the only one twice); the file's when absent. */
  readonly channels?: number;
}

/** A file's sound piece by piece at a rate of one's own: memory does not grow with the file. @throws FormatError */
export async function* streamAudio(path: string, options: StreamOptions = {}): AsyncGenerator<Waveform> {
  const { sampleRate, channels, ...part } = options;
  let resamplers: Resampler[] | undefined;
  let rate = 0;
  for await (const piece of audioPieces(path, part)) {
    const mixed = channels === undefined ? piece.channels : mixChannels(piece.channels, channels);
    rate = sampleRate ?? piece.sampleRate;
    resamplers ??= mixed.map(() => createResampler(piece.sampleRate, rate));
    const ready = resamplers.map((resampler, channel) => resampler.push(mixed[channel]!));
    if (ready[0]!.length > 0) yield { channels: ready, sampleRate: rate };
  }
  const last = (resamplers ?? []).map((resampler) => resampler.end());
  if (last.length > 0 && last[0]!.length > 0) yield { channels: last, sampleRate: rate };
}

/** One channel: the mean of all. Two: the first two, or the only one twice. More: as many as there are. */
function mixChannels(channels: readonly Float32Array[], wanted: number): Float32Array[] {
  if (wanted === channels.length) return [...channels];
  if (wanted === 1) {
    const mean = new Float32Array(channels[0]!.length);
    for (const values of channels)
      for (let i = 0; i < mean.length; i++) mean[i]! += values[i]! / channels.length;
    return [mean];
  }
  if (channels.length === 1) return Array.from({ length: wanted }, () => channels[0]!);
  if (channels.length < wanted)
    throw new FormatError(`the file has ${channels.length} channels, ${wanted} are wanted`);
  return channels.slice(0, wanted);
}

/** At least one piece, all of one rate and number of channels. */
async function* audioPieces(
  path: string,
  { start = 0, duration = Infinity }: Part,
): AsyncGenerator<Waveform> {
  const wav = wavHeaderOf(path);
  if (wav === undefined) await expectBytes(path);
  const first = wav === undefined ? 0 : Math.round(start * wav.sampleRate);
  const count = wav === undefined ? 0 : Math.round(duration * wav.sampleRate);
  const pieces =
    wav === undefined
      ? (await import("./av-file.js")).avPieces(path, start)
      : wavPieces(path, wav, first, count);
  let form: Waveform | undefined;
  let left = Infinity;
  for await (const piece of pieces) {
    form ??= piece;
    if (left === Infinity && duration !== Infinity) left = Math.round(duration * piece.sampleRate);
    if (piece.sampleRate !== form.sampleRate || piece.channels.length !== form.channels.length)
      throw new FormatError("rate or channels change inside the file");
    const length = piece.channels[0]!.length;
    yield length <= left
      ? piece
      : { ...piece, channels: piece.channels.map((values) => values.subarray(0, left)) };
    left -= length;
    if (left <= 0) return;
  }
  if (form === undefined)
    throw new FormatError(start > 0 ? `no sound after ${start} s` : "the file holds no sound");
}

/** Undefined where FFmpeg has to read it. */
function wavHeaderOf(path: string): WavHeader | undefined {
  if (!/\.wave?$/i.test(path)) return undefined;
  try {
    return readWavHeader(path);
  } catch (error) {
    if (error instanceof WavEncodingError) return undefined;
    throw error;
  }
}

async function expectBytes(path: string): Promise<void> {
  if ((await stat(path)).size === 0) throw new FormatError("the file is empty");
}
