/** Small video files for tests, encoded by FFmpeg as the tests run. */
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_PIX_FMT_YUV420P,
  AV_PKT_DATA_DISPLAYMATRIX,
  AVFMT_GLOBALHEADER,
  type FFEncoderCodec,
} from "node-av/constants";
import { Codec, CodecContext, FormatContext, Frame, Packet, Rational, type Stream } from "node-av/lib";

export interface TestVideo {
  /** Brightness 0-255 of frame i at (row, column). */
  level(frame: number, row: number, column: number): number;
  readonly frames: number;
  readonly height?: number;
  readonly width?: number;
  /** Frames a second; default 25. */
  readonly rate?: number;
  /** Times of frames in units of a frame; default 0, 1, 2, ... */
  time?(frame: number): number;
  readonly codec?: string;
  /** Frames from one that can be decoded by itself to the next; default 12. */
  readonly keyEvery?: number;
  /** Clockwise quarter turns that the file asks players for. */
  readonly turns?: number;
}

export function makeVideo(path: string, video: TestVideo): void {
  const {
    frames,
    height = 48,
    width = 64,
    rate = 25,
    time = (i) => i,
    codec = "mpeg4",
    keyEvery = 12,
  } = video;
  const format = new FormatContext();
  ok(format.allocOutputContext2(null, null, path));
  const encoder = Codec.findEncoderByName(codec as FFEncoderCodec);
  if (encoder === null) throw new Error(`no encoder ${codec}`);
  const context = new CodecContext();
  context.allocContext3(encoder);
  Object.assign(context, {
    width,
    height,
    pixelFormat: AV_PIX_FMT_YUV420P,
    gopSize: keyEvery,
    maxBFrames: 0,
  });
  context.timeBase = new Rational(1, rate);
  context.framerate = new Rational(rate, 1);
  context.bitRate = 2_000_000n;
  if (format.oformat!.flags & AVFMT_GLOBALHEADER) context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  ok(context.open2Sync(encoder));
  const stream: Stream = format.newStream(encoder);
  ok(stream.codecpar.fromContext(context));
  stream.timeBase = context.timeBase;
  if (video.turns !== undefined) {
    const [cos, sin] = [
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
    ][video.turns]!;
    const matrix = Buffer.alloc(36);
    [cos! << 16, sin! << 16, 0, -sin! << 16, cos! << 16, 0, 0, 0, 1 << 30].forEach((v, i) => {
      matrix.writeInt32LE(v, 4 * i);
    });
    ok(stream.codecpar.addCodedSideData(AV_PKT_DATA_DISPLAYMATRIX, matrix));
  }
  ok(format.openOutputSync());
  ok(format.writeHeaderSync());
  const packet = new Packet();
  packet.alloc();
  const drain = () => {
    while (context.receivePacketSync(packet) >= 0) {
      packet.streamIndex = stream.index;
      packet.duration = 1n;
      packet.rescaleTs(context.timeBase, stream.timeBase);
      ok(format.interleavedWriteFrameSync(packet));
      packet.unref();
    }
  };
  for (let i = 0; i < frames; i++) {
    const pixels = Buffer.alloc((width * height * 3) / 2, 128);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) pixels[y * width + x] = 16 + (video.level(i, y, x) * 219) / 255;
    const frame = Frame.fromVideoBuffer(pixels, {
      ...{ width, height, format: AV_PIX_FMT_YUV420P, timeBase: new Rational(1, rate), pts: BigInt(time(i)) },
    });
    ok(context.sendFrameSync(frame));
    frame.free();
    drain();
  }
  ok(context.sendFrameSync(null));
  drain();
  ok(format.writeTrailerSync());
  format.closeOutputSync();
  context.freeContext();
  packet.free();
}

function ok(status: number): void {
  if (status < 0) throw new Error(`FFmpeg: ${status}`);
}
