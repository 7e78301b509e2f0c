/** Pictures as an H.264 video, which browsers and players show. */
import { rename, rm } from "node:fs/promises";
import { UnmaskError } from "@unmask/core/errors";
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_PIX_FMT_RGB24,
  AV_PIX_FMT_YUV420P,
  type FFEncoderCodec,
} from "node-av/constants";
import {
  Codec,
  CodecContext,
  FormatContext,
  Frame,
  Packet,
  Rational,
  SoftwareScaleContext,
} from "node-av/lib";
import type { Picture } from "./film-strip.js";

/**
 * Writes frames of one size to `path`, whole or not at all. An odd last row or column is left out, since colours are kept
 * for pairs of pixels.
 * @param rate frames a second
 */
export async function writeMp4(path: string, frames: readonly Picture[], rate: number): Promise<void> {
  const partial = `${path}.partial.mp4`;
  try {
    encode(partial, frames, rate);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function encode(path: string, frames: readonly Picture[], rate: number): void {
  const [width, height] = [frames[0]!.width & ~1, frames[0]!.height & ~1];
  const format = new FormatContext();
  check(format.allocOutputContext2(null, "mp4", path));
  const codec = Codec.findEncoderByName("libx264" as FFEncoderCodec);
  if (codec === null) throw new UnmaskError("writeMp4: this FFmpeg has no libx264; reinstall node-av");
  const encoder = new CodecContext();
  encoder.allocContext3(codec);
  Object.assign(encoder, { width, height, pixelFormat: AV_PIX_FMT_YUV420P, maxBFrames: 0, threadCount: 1 });
  encoder.timeBase = new Rational(1, rate);
  encoder.framerate = new Rational(rate, 1);
  encoder.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  encoder.setOption("crf", "18");
  check(encoder.open2Sync(codec));
  const stream = format.newStream(codec);
  check(stream.codecpar.fromContext(encoder));
  stream.timeBase = encoder.timeBase;
  check(format.openOutputSync());
  check(format.writeHeaderSync());
  const packet = new Packet();
  packet.alloc();
  const send = (frame: Frame | null) => {
    check(encoder.sendFrameSync(frame));
    while (encoder.receivePacketSync(packet) >= 0) {
      packet.streamIndex = stream.index;
      packet.duration = 1n;
      packet.rescaleTs(encoder.timeBase, stream.timeBase);
      check(format.interleavedWriteFrameSync(packet));
      packet.unref();
    }
  };
  const converter = createConverter(height, width);
  try {
    frames.forEach((picture, i) => {
      send(converter.convert(picture, i));
    });
    send(null);
    check(format.writeTrailerSync());
  } finally {
    converter.close();
    packet.free();
    format.closeOutputSync();
    encoder.freeContext();
  }
}

/** From bytes of red, green and blue to the encoder's planes; the frame returned is good until the next. */
function createConverter(height: number, width: number) {
  const scaler = new SoftwareScaleContext();
  scaler.allocContext();
  const planes = new Frame();
  planes.alloc();
  planes.format = AV_PIX_FMT_YUV420P;
  planes.width = width;
  planes.height = height;
  check(planes.allocBuffer());
  return {
    convert(picture: Picture, time: number): Frame {
      const rgb = Frame.fromVideoBuffer(cropped(picture, height, width), {
        ...{ width, height, format: AV_PIX_FMT_RGB24, timeBase: new Rational(1, 1), pts: 0n },
      });
      check(planes.makeWritable());
      check(scaler.scaleFrameSync(planes, rgb));
      rgb.free();
      planes.pts = BigInt(time);
      return planes;
    },
    close() {
      planes.free();
      scaler.freeContext();
    },
  };
}

/** The first rows and columns, [height, width, 3]. */
function cropped(picture: Picture, height: number, width: number): Buffer {
  const pixels = Buffer.alloc(height * width * 3);
  for (let y = 0; y < height; y++)
    pixels.set(
      picture.pixels.subarray(y * picture.width * 3, (y * picture.width + width) * 3),
      y * width * 3,
    );
  return pixels;
}

function check(status: number): void {
  if (status < 0) throw new UnmaskError(`writeMp4: FFmpeg answers ${status}; see whether the disk is full`);
}
