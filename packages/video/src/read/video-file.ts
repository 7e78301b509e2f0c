/** Frames of a video file by their times, decoded by FFmpeg: it seeks to them and keeps no other. */
import { FormatError } from "@unmask/core/errors";
import {
  AV_CODEC_ID_NONE,
  AV_LOG_QUIET,
  AV_NOPTS_VALUE,
  AV_PKT_DATA_DISPLAYMATRIX,
  AVERROR_EAGAIN,
  AVMEDIA_TYPE_VIDEO,
  AVSEEK_FLAG_BACKWARD,
} from "node-av/constants";
import { Codec, CodecContext, Dictionary, FormatContext, Frame, Log, Packet, type Stream } from "node-av/lib";
import type { VideoInfo } from "./clip.js";
import type { Turns } from "./pixels.js";

/** Frames of more pixels are refused: no video has them, and a damaged header must not fill the memory. */
const MAX_PIXELS = 2 ** 26;

/** A wanted time so far (in seconds) beyond the present frame is worth seeking to. */
const SEEK_BEYOND = 3;

export interface VideoFile {
  readonly info: VideoInfo;
  readonly turns: Turns;
  /**
   * Shows `take` the frame that stands at each of the times (in seconds, rising): the last that begins by then, within
   * half a frame. The frame is valid during the call only.
   */
  framesAt(times: readonly number[], take: (frame: Frame, index: number) => void): void;
}

Log.setLevel(AV_LOG_QUIET); // what is wrong with a file is told by errors

/** Opens a file, runs `body` and closes it. Throws a FormatError for a file that is no video or damaged. */
export function withVideoFile<T>(path: string, body: (file: VideoFile) => T): T {
  const format = new FormatContext();
  // Only the file itself: a playlist under a video's name must not fetch anything.
  const options = Dictionary.fromObject({ protocol_whitelist: "file" });
  check(format.openInputSync(`file:${path}`, null, options), "is no video file, or its beginning is damaged");
  try {
    check(format.findStreamInfoSync(null), "has no readable streams");
    const index = format.findBestStream(AVMEDIA_TYPE_VIDEO);
    const stream = index < 0 ? undefined : format.streams[index];
    if (stream === undefined || stream.codecpar.codecId === AV_CODEC_ID_NONE)
      throw new FormatError("has no video stream");
    const { width, height } = stream.codecpar;
    if (width < 1 || height < 1) throw new FormatError("has a video stream without frames");
    if (width * height > MAX_PIXELS) throw new FormatError(`has frames of ${width}x${height} pixels`);
    const decoder = openDecoder(stream);
    try {
      return body(createFile(format, stream, decoder));
    } finally {
      decoder.freeContext();
    }
  } finally {
    format.closeInputSync();
  }
}

function openDecoder(stream: Stream): CodecContext {
  const codec = Codec.findDecoder(stream.codecpar.codecId);
  if (codec === null) throw new FormatError(`has video in a format that FFmpeg does not decode here`);
  const decoder = new CodecContext();
  decoder.allocContext3(codec);
  decoder.parametersToContext(stream.codecpar);
  decoder.pktTimebase = stream.timeBase;
  decoder.threadCount = 1; // several files are decoded at a time
  decoder.setOption("max_pixels", String(MAX_PIXELS));
  check(decoder.open2Sync(codec), "has video that cannot be decoded");
  return decoder;
}

function createFile(format: FormatContext, stream: Stream, decoder: CodecContext): VideoFile {
  const { width, height, sampleAspectRatio: aspect } = stream.codecpar;
  const turns = turnsOf(stream);
  const stretched = aspect.num > 0 && aspect.den > 0 ? Math.round((width * aspect.num) / aspect.den) : width;
  const [shownHeight, shownWidth] = turns % 2 === 0 ? [height, stretched] : [stretched, height];
  const length = lengthOf(format, stream, decoder);
  if (length === undefined) throw new FormatError("has a video stream without frames");
  return {
    info: { height: shownHeight, width: shownWidth, ...length },
    turns,
    framesAt: (times, take) =>
      new Search(format, stream, decoder, 1 / length.rate).run(times, length.seconds, take),
  };
}

/** Decodes forwards from where it has sought to; restarts further back where that was too far. */
class Search {
  private readonly packet = new Packet();
  private current = new Frame();
  private before = new Frame();
  /** Times of `before` and `current` in seconds; undefined where there is no such frame. */
  private beforeTime: number | undefined;
  private currentTime: number | undefined;
  private drained = false;
  /** The first frame to come is the video's first. */
  private fromStart = true;
  private readonly seconds: number;
  private readonly start: number;

  constructor(
    private readonly format: FormatContext,
    private readonly stream: Stream,
    private readonly decoder: CodecContext,
    private readonly frameTime: number,
  ) {
    const { num, den } = stream.timeBase;
    this.seconds = num / den;
    this.start = stream.startTime === AV_NOPTS_VALUE ? 0 : Number(stream.startTime) * this.seconds;
    for (const one of [this.packet, this.current, this.before]) one.alloc();
  }

  run(times: readonly number[], seconds: number, take: (frame: Frame, index: number) => void): void {
    try {
      if (times[0]! > SEEK_BEYOND) this.seek(times[0]!);
      times.forEach((time, index) => {
        take(this.frameAt(time, seconds), index);
      });
    } finally {
      for (const one of [this.packet, this.current, this.before]) one.free();
    }
  }

  private frameAt(time: number, seconds: number): Frame {
    const latest = time + this.frameTime / 2;
    if (this.currentTime !== undefined && time > this.currentTime + SEEK_BEYOND) this.seek(time);
    for (let back = 1; ; back *= 4) {
      while (!this.drained && (this.currentTime === undefined || this.currentTime <= latest)) this.advance();
      if (this.beforeTime !== undefined || this.fromStart || this.currentTime === undefined) break;
      this.seek(Math.max(0, time - back)); // the format's index led beyond the frame
    }
    const slack = Math.max(0.5, 3 * this.frameTime);
    const past = this.currentTime !== undefined && this.currentTime > latest;
    if (past && this.beforeTime !== undefined) {
      const shown = Number(this.before.duration) * this.seconds; // 0 where the format does not tell
      if (shown > 0 && time - this.beforeTime > shown + slack) throw undecodable(time);
      return this.before;
    }
    if (this.currentTime === undefined || time - this.currentTime > slack) {
      const end =
        this.currentTime === undefined ? "before its first frame" : `after ${this.currentTime.toFixed(2)} s`;
      throw new FormatError(
        `ends ${end}, where it should hold ${seconds.toFixed(2)} s; it is damaged or cut short`,
      );
    }
    if (this.currentTime - time > slack) throw undecodable(time);
    return this.current;
  }

  /** The next frame becomes the current one. */
  private advance(): void {
    [this.before, this.current] = [this.current, this.before];
    this.beforeTime = this.currentTime;
    const time = this.decode();
    if (time === undefined) {
      // There is none: what was current stays so.
      [this.before, this.current] = [this.current, this.before];
      this.currentTime = this.beforeTime;
      this.drained = true;
    } else this.currentTime = time;
  }

  /** Decodes one more frame into `current`; its time, or undefined at the end. */
  private decode(): number | undefined {
    for (;;) {
      const status = this.decoder.receiveFrameSync(this.current);
      if (status >= 0) {
        const stamp = this.current.bestEffortTimestamp;
        const next = (this.beforeTime ?? -this.frameTime) + this.frameTime;
        return stamp === AV_NOPTS_VALUE ? next : Number(stamp) * this.seconds - this.start;
      }
      if (status !== AVERROR_EAGAIN) return undefined;
      this.feed();
    }
  }

  /** Gives the decoder the stream's next packet, or tells it that there is none. */
  private feed(): void {
    while (this.format.readFrameSync(this.packet) >= 0) {
      const ours = this.packet.streamIndex === this.stream.index;
      // A damaged packet costs its frames only; the frames around it are decoded.
      if (ours) this.decoder.sendPacketSync(this.packet);
      this.packet.unref();
      if (ours) return;
    }
    this.decoder.sendPacketSync(null);
  }

  /** To the last frame before `time` that can be decoded by itself. Formats that cannot seek go on where they are. */
  private seek(time: number): void {
    const stamp = BigInt(Math.floor((time + this.start) / this.seconds));
    if (this.format.seekFrameSync(this.stream.index, stamp, AVSEEK_FLAG_BACKWARD) < 0) return;
    this.decoder.flushBuffers();
    this.beforeTime = undefined;
    this.currentTime = undefined;
    this.drained = false;
    this.fromStart = time <= 0;
  }
}

const undecodable = (time: number) =>
  new FormatError(`has no frame that can be decoded at ${time.toFixed(2)} s; it is damaged`);

/** Length in seconds and average rate; where the header does not tell, packets are counted without decoding them. */
function lengthOf(
  format: FormatContext,
  stream: Stream,
  decoder: CodecContext,
): { seconds: number; rate: number } | undefined {
  const { num, den } = stream.timeBase;
  const told = [stream.avgFrameRate, stream.rFrameRate].find((r) => r.num > 0 && r.den > 0);
  const seconds = headerSeconds(format, stream);
  if (seconds !== undefined && told !== undefined) return { seconds, rate: told.num / told.den };

  const packet = new Packet();
  packet.alloc();
  let [count, first, last] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (; format.readFrameSync(packet) >= 0; packet.unref()) {
    if (packet.streamIndex !== stream.index) continue;
    count++;
    const stamp = packet.pts === AV_NOPTS_VALUE ? packet.dts : packet.pts;
    if (stamp === AV_NOPTS_VALUE) continue;
    first = Math.min(first, Number(stamp));
    last = Math.max(last, Number(stamp));
  }
  packet.free();
  format.seekFrameSync(stream.index, 0n, AVSEEK_FLAG_BACKWARD);
  decoder.flushBuffers();
  if (count === 0) return undefined;
  const span = last > first ? ((last - first) * num) / den : (count - 1) / (told ? told.num / told.den : 25);
  const rate = count > 1 ? (count - 1) / span : 1;
  return { seconds: count / rate, rate };
}

/** Undefined where the header does not tell how long the video stream is. */
function headerSeconds(format: FormatContext, stream: Stream): number | undefined {
  const { num, den } = stream.timeBase;
  if (stream.duration !== AV_NOPTS_VALUE && stream.duration > 0n)
    return (Number(stream.duration) * num) / den;
  const tag = /^(\d+):(\d+):([\d.]+)/.exec(stream.metadata?.get("DURATION") ?? ""); // Matroska
  if (tag !== null) return Number(tag[1]) * 3600 + Number(tag[2]) * 60 + Number(tag[3]);
  const whole = format.duration !== AV_NOPTS_VALUE && format.duration > 0n && format.nbStreams === 1;
  return whole ? Number(format.duration) / 1e6 : undefined;
}

/** Phones film in the sensor's orientation and write beside it how the picture is to be turned. */
function turnsOf(stream: Stream): Turns {
  const matrix = stream.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX);
  if (matrix === null || matrix.byteLength < 36) return 0;
  const degrees = (Math.atan2(matrix.readInt32LE(4), matrix.readInt32LE(0)) * 180) / Math.PI;
  return ((Math.round(degrees / 90) + 4) % 4) as Turns;
}

function check(status: number, problem: string): void {
  if (status < 0) throw new FormatError(problem);
}
