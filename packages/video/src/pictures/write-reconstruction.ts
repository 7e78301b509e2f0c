/** Reconstructions as files: a film strip (PNG) and an animation (WebP and MP4). */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "@unmask/core/node";
import sharp from "sharp";
import type { VideoReconstruction } from "../reconstruction.js";
import { writeMp4 } from "./encode-mp4.js";
import { animationFrame, filmStrip, type Picture, stripClips } from "./film-strip.js";

/** Milliseconds that each frame of an animation stands. */
const FRAME_DELAY = 125;

/** Writes `PATH.png`, `PATH.webp` and `PATH.mp4`; makes their folder where there is none. Returns the names of the files. */
export async function writeReconstruction(
  reconstruction: VideoReconstruction,
  path: string,
): Promise<string[]> {
  const clips = await stripClips(reconstruction);
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(`${path}.png`, await encodePng(filmStrip(clips)));
  const frames = Array.from({ length: clips.shape[1] }, (_, frame) => animationFrame(clips, frame));
  await writeFileAtomic(`${path}.webp`, await encodeAnimation(frames));
  await writeMp4(`${path}.mp4`, frames, 1000 / FRAME_DELAY);
  return [`${path}.png`, `${path}.webp`, `${path}.mp4`];
}

/** The bytes of an animated WebP that repeats for ever; all frames have the size of the first. */
export async function encodeAnimation(frames: readonly Picture[]): Promise<Uint8Array> {
  const { height, width } = frames[0]!;
  const pixels = new Uint8Array(frames.length * height * width * 3);
  frames.forEach((frame, i) => {
    pixels.set(frame.pixels, i * height * width * 3);
  });
  const raw = { width, height: height * frames.length, channels: 3, pageHeight: height } as const;
  return plainBytes(
    await sharp(pixels, { raw })
      .webp({ delay: frames.map(() => FRAME_DELAY), loop: 0 })
      .toBuffer(),
  );
}

async function encodePng({ pixels, height, width }: Picture): Promise<Uint8Array> {
  return plainBytes(
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer(),
  );
}

/** The same memory as a plain array: a Buffer's `slice` would give a view where a copy is expected. */
const plainBytes = (buffer: Buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
