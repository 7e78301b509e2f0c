/**
 * Every other kind of sound file, and the sound of videos, by FFmpeg. Loaded when the first such file is read, as it
 * takes a quarter of a second.
 */
import { FormatError } from "@unmask/core/errors";
import {
  AV_CODEC_ID_NONE,
  AV_LOG_QUIET,
  AV_NOPTS_VALUE,
  AV_SAMPLE_FMT_DBL,
  AV_SAMPLE_FMT_DBLP,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  AV_SAMPLE_FMT_S16,
  AV_SAMPLE_FMT_S16P,
  AV_SAMPLE_FMT_S32,
  AV_SAMPLE_FMT_S32P,
  AV_SAMPLE_FMT_U8,
  AV_SAMPLE_FMT_U8P,
  AVERROR_EAGAIN,
  AVMEDIA_TYPE_AUDIO,
  type AVSampleFormat,
  AVSEEK_FLAG_BACKWARD,
} from "node-av/constants";
import { Codec, CodecContext, Dictionary, FormatContext, Frame, Log, Packet, type Stream } from "node-av/lib";
import type { Waveform } from "../sample.js";
import { concatenate } from "./resample.js";

Log.setLevel(AV_LOG_QUIET); // what is wrong with a file is told by errors

export interface AvSound {
  /** Hz */
  readonly sampleRate: number;
  readonly channels: number;
  /** Seconds; 0 where the file does not say. */
  readonly duration: number;
}

/** Moments in time of a piece, about. */
const PIECE = 2 ** 16;

/** Seconds decoded before a part: AAC and MP3 frames lean on those before them. */
const RUN_UP = 0.5;

/** Seconds: a first frame that comes later than the file says, by less than this, has silence before it. */
const LONGEST_LEAD = 1;

/** @throws FormatError where FFmpeg knows no such file, or it has no sound */
export function readAvHeader(path: string): AvSound {
  const { format, stream, close } = openSound(path);
  try {
    const { sampleRate, channels } = stream.codecpar;
    const { num, den } = stream.timeBase;
    const own = stream.duration === AV_NOPTS_VALUE ? 0 : (Number(stream.duration) * num) / den;
    const whole = format.duration === AV_NOPTS_VALUE ? 0 : Number(format.duration) / 1e6;
    return { sampleRate, channels, duration: Math.max(0, own || whole) };
  } finally {
    close();
  }
}

/** The sound from `start` on, in seconds. A damaged packet costs its own sound only. @throws FormatError */
export async function* avPieces(path: string, start: number): AsyncGenerator<Waveform> {
  const { format, stream, close } = openSound(path);
  const decoder = openDecoder(stream);
  const [packet, frame] = [new Packet(), new Frame()];
  packet.alloc();
  frame.alloc();
  try {
    const seconds = stream.timeBase.num / stream.timeBase.den;
    const origin = stream.startTime === AV_NOPTS_VALUE ? 0 : Number(stream.startTime) * seconds;
    let clock = 0; // where a frame without a time of its own begins
    let searching = true; // for the frame that the part begins in
    if (start > 0) {
      const stamp = BigInt(Math.floor((Math.max(0, start - RUN_UP) + origin) / seconds));
      format.seekFrameSync(stream.index, stamp, AVSEEK_FLAG_BACKWARD); // where it cannot seek, all before is decoded
    }
    const feed = () => {
      while (format.readFrameSync(packet) >= 0) {
        const ours = packet.streamIndex === stream.index;
        if (ours) decoder.sendPacketSync(packet);
        packet.unref();
        if (ours) return;
      }
      decoder.sendPacketSync(null);
    };

    let parts: Waveform[] = [];
    let length = 0;
    for (;;) {
      const status = decoder.receiveFrameSync(frame);
      if (status === AVERROR_EAGAIN) {
        feed();
        continue;
      }
      if (status < 0) break;
      const { sampleRate, nbSamples } = frame;
      const stamp = frame.bestEffortTimestamp;
      const time = stamp === AV_NOPTS_VALUE ? clock : Number(stamp) * seconds - origin;
      clock = time + nbSamples / sampleRate;
      const ahead = Math.round((start - time) * sampleRate); // of where the part begins
      const skip = searching ? Math.max(0, ahead) : 0;
      if (skip >= nbSamples) continue;
      if (searching && ahead < 0 && -ahead < LONGEST_LEAD * sampleRate) parts.push(silence(frame, -ahead));
      searching = false;
      const changed = parts[0] !== undefined && parts[0].sampleRate !== sampleRate;
      if (changed) throw new FormatError("the sampling rate changes inside the file");
      parts.push({ channels: samplesOf(frame, skip), sampleRate });
      length += nbSamples - skip;
      if (length < PIECE) continue;
      yield joined(parts);
      [parts, length] = [[], 0];
    }
    if (parts.length > 0) yield joined(parts);
  } finally {
    packet.free();
    frame.free();
    decoder.freeContext();
    close();
  }
}

function openSound(path: string): { format: FormatContext; stream: Stream; close: () => void } {
  const format = new FormatContext();
  // Only the file itself: a playlist under a recording's name must not fetch anything.
  const options = Dictionary.fromObject({ protocol_whitelist: "file" });
  if (format.openInputSync(`file:${path}`, null, options) < 0)
    throw new FormatError("it is no sound file, or its beginning is damaged");
  const close = () => format.closeInputSync();
  try {
    if (format.findStreamInfoSync(null) < 0) throw new FormatError("it has no readable streams");
    const index = format.findBestStream(AVMEDIA_TYPE_AUDIO);
    const stream = index < 0 ? undefined : format.streams[index];
    if (stream === undefined || stream.codecpar.codecId === AV_CODEC_ID_NONE)
      throw new FormatError("it has no sound");
    const { sampleRate, channels } = stream.codecpar;
    if (sampleRate < 1 || channels < 1) throw new FormatError("its sound is damaged");
    return { format, stream, close };
  } catch (error) {
    close();
    throw error;
  }
}

function openDecoder(stream: Stream): CodecContext {
  const codec = Codec.findDecoder(stream.codecpar.codecId);
  if (codec === null) throw new FormatError("its sound is of a kind that FFmpeg does not decode here");
  const decoder = new CodecContext();
  decoder.allocContext3(codec);
  decoder.parametersToContext(stream.codecpar);
  decoder.pktTimebase = stream.timeBase;
  decoder.threadCount = 1; // several files are decoded at a time
  if (decoder.open2Sync(codec, null) < 0) throw new FormatError("its sound cannot be decoded");
  return decoder;
}

function joined(parts: readonly Waveform[]): Waveform {
  const [first] = parts as readonly [Waveform];
  if (parts.some(({ channels }) => channels.length !== first.channels.length))
    throw new FormatError("the number of channels changes inside the file");
  const channels = first.channels.map((_, c) => concatenate(parts.map((part) => part.channels[c]!)));
  return { channels, sampleRate: first.sampleRate };
}

const silence = ({ channels, sampleRate }: Frame, length: number): Waveform => ({
  channels: Array.from({ length: channels }, () => new Float32Array(length)),
  sampleRate,
});

interface NumberFormat {
  readonly bytes: number;
  readonly planar: boolean;
  readonly read: (view: DataView, at: number) => number;
}

const unsigned8 = (view: DataView, at: number) => (view.getUint8(at) - 128) / 128;
const signed16 = (view: DataView, at: number) => view.getInt16(at, true) / 2 ** 15;
const signed32 = (view: DataView, at: number) => view.getInt32(at, true) / 2 ** 31;
const float32 = (view: DataView, at: number) => view.getFloat32(at, true);
const float64 = (view: DataView, at: number) => view.getFloat64(at, true);

const NUMBERS = new Map<AVSampleFormat, NumberFormat>([
  [AV_SAMPLE_FMT_U8, { bytes: 1, planar: false, read: unsigned8 }],
  [AV_SAMPLE_FMT_U8P, { bytes: 1, planar: true, read: unsigned8 }],
  [AV_SAMPLE_FMT_S16, { bytes: 2, planar: false, read: signed16 }],
  [AV_SAMPLE_FMT_S16P, { bytes: 2, planar: true, read: signed16 }],
  [AV_SAMPLE_FMT_S32, { bytes: 4, planar: false, read: signed32 }],
  [AV_SAMPLE_FMT_S32P, { bytes: 4, planar: true, read: signed32 }],
  [AV_SAMPLE_FMT_FLT, { bytes: 4, planar: false, read: float32 }],
  [AV_SAMPLE_FMT_FLTP, { bytes: 4, planar: true, read: float32 }],
  [AV_SAMPLE_FMT_DBL, { bytes: 8, planar: false, read: float64 }],
  [AV_SAMPLE_FMT_DBLP, { bytes: 8, planar: true, read: float64 }],
]);

/** A frame's sound without its first `skip` moments, copied out of FFmpeg's memory. */
function samplesOf(frame: Frame, skip: number): Float32Array[] {
  const form = NUMBERS.get(frame.format as AVSampleFormat);
  const planes = frame.extendedData ?? frame.data;
  if (form === undefined || planes === null) throw new FormatError("its samples are of an unknown kind");
  const { bytes, planar, read } = form;
  const { channels, nbSamples } = frame;
  return Array.from({ length: channels }, (_, channel) => {
    const plane = planes[planar ? channel : 0];
    const step = planar ? bytes : bytes * channels;
    if (plane === undefined || plane.byteLength < (nbSamples - 1) * step + bytes)
      throw new FormatError("a frame of its sound is damaged");
    const view = new DataView(plane.buffer, plane.byteOffset, plane.byteLength);
    const values = new Float32Array(nbSamples - skip);
    for (let i = 0, at = skip * step + (planar ? 0 : channel * bytes); i < values.length; i++, at += step) {
      const value = read(view, at);
      values[i] = Number.isFinite(value) ? value : 0;
    }
    return values;
  });
}
