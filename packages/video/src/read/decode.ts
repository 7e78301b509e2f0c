/** Clips from video files and from folders of frames. */
import { FormatError } from "@unmask/core/errors";
import {
  AV_PIX_FMT_GRAY8,
  AV_PIX_FMT_RGB24,
  SWS_ACCURATE_RND,
  SWS_BICUBIC,
  SWS_FULL_CHR_H_INT,
} from "node-av/constants";
import { Frame, SoftwareScaleContext } from "node-av/lib";
import sharp, { type Sharp } from "sharp";
import { type Box, cropBoxes, type Size } from "../augment/crop.js";
import { type Clip, type ClipRequest, clipFrames, frameCount, type VideoInfo } from "./clip.js";
import { cutPicture, type Picture, scaledSize, type Turns } from "./pixels.js";
import { withVideoFile } from "./video-file.js";

/** Decodes what is asked for. Throws a FormatError where the video does not hold it. */
export async function decodeClip(request: ClipRequest): Promise<Clip> {
  const { source } = request;
  return typeof source === "string" ? decodeFile(source, request) : decodeFolder(source, request);
}

/** Size and length without decoding. */
export async function videoInfo(source: string | readonly string[]): Promise<VideoInfo> {
  if (typeof source === "string") return withVideoFile(source, ({ info }) => info);
  return { ...(await imageSize(source[0]!)), seconds: source.length / FOLDER_RATE, rate: FOLDER_RATE };
}

/** Frames a second of a folder of frames, which does not tell. */
const FOLDER_RATE = 25;

function decodeFile(path: string, request: ClipRequest): Clip {
  return withVideoFile(path, ({ info, turns, framesAt }) => {
    const plan = planClip(info, request);
    const scalers = plan.boxes.map((place) => createScaler(place, turns, request.channels));
    try {
      framesAt(
        plan.wanted.map((index) => index / info.rate),
        (frame, i) => {
          scalers.forEach((scaler, crop) => {
            for (const [start, k] of plan.uses[i]!) scaler.cut(frame, plan.pixelsOf(start, crop, k));
          });
        },
      );
    } finally {
      for (const scaler of scalers) scaler.close();
    }
    return plan.clip;
  });
}

async function decodeFolder(paths: readonly string[], request: ClipRequest): Promise<Clip> {
  const info = { ...(await imageSize(paths[0]!)), seconds: paths.length / FOLDER_RATE, rate: FOLDER_RATE };
  const plan = planClip(info, request);
  for (const [i, index] of plan.wanted.entries())
    for (const [crop, place] of plan.boxes.entries()) {
      const picture = await decodeImage(paths[index]!, info, place.scaled, request.channels);
      for (const [start, k] of plan.uses[i]!)
        cutPicture(picture, plan.pixelsOf(start, crop, k), {
          ...place,
          channels: request.channels,
          turns: 0,
        });
    }
  return plan.clip;
}

interface Place {
  readonly size: Size;
  /** Of the whole frame. */
  readonly scaled: Size;
  readonly top: number;
  readonly left: number;
  readonly flip: boolean;
}

/** What is decoded and where it goes. */
function planClip(info: VideoInfo, request: ClipRequest) {
  const { frames, starts, size, channels, crop } = request;
  const total = frameCount(info);
  const clips = starts.map((start) => {
    const indices = clipFrames(total, info.rate, request, start);
    if (typeof indices === "string") throw new FormatError(indices);
    return indices;
  });
  const wanted = [...new Set(clips.flat())].sort((a, b) => a - b);
  const uses = wanted.map((index) =>
    clips.flatMap((indices, start) =>
      indices.flatMap((one, k) => (one === index ? [[start, k] as const] : [])),
    ),
  );
  const boxes = cropBoxes(info.height, info.width, size, crop);
  const flip = crop.kind === "multi-scale" && crop.flip;
  const pictureSize = size[0] * size[1] * channels;
  const views = starts.length * boxes.length;
  const pixels = new Uint8Array(views * frames * pictureSize);
  const [box] = boxes as [Box];
  const clip: Clip = {
    pixels,
    views,
    times: clips[0]!.map((index) => (index + 0.5) / total),
    box: [box.top / info.height, box.left / info.width, box.height / info.height, box.width / info.width],
  };
  return {
    clip,
    wanted,
    uses,
    boxes: boxes.map((one) => placeOf(info, one, size, flip)),
    pixelsOf(start: number, crop: number, k: number) {
      const at = ((start * boxes.length + crop) * frames + k) * pictureSize;
      return pixels.subarray(at, at + pictureSize);
    },
  };
}

function placeOf(info: VideoInfo, box: Box, size: Size, flip: boolean): Place {
  const scaled = scaledSize(info.height, info.width, box, size);
  const corner = (offset: number, whole: number, to: number, part: number) =>
    Math.min(to - part, Math.round((offset * to) / whole));
  return {
    ...{ size, scaled, flip },
    top: corner(box.top, info.height, scaled[0], size[0]),
    left: corner(box.left, info.width, scaled[1], size[1]),
  };
}

/** Scales decoded frames and cuts a part out of them; one for each part, since frames of a video are alike. */
function createScaler(place: Place, turns: Turns, channels: 1 | 3) {
  const scaler = new SoftwareScaleContext();
  scaler.allocContext();
  scaler.setOption("sws_flags", String(SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT));
  const [height, width] = turns % 2 === 0 ? place.scaled : [place.scaled[1], place.scaled[0]];
  const scaled = new Frame();
  scaled.alloc();
  scaled.format = channels === 1 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
  scaled.width = width;
  scaled.height = height;
  if (scaled.allocBuffer() < 0) throw new FormatError("cannot be scaled");
  return {
    cut(frame: Frame, to: Uint8Array) {
      if (scaler.scaleFrameSync(scaled, frame) < 0)
        throw new FormatError("has frames in a format that cannot be converted");
      const picture = { pixels: scaled.data![0]!, stride: scaled.linesize[0]!, height, width };
      cutPicture(picture, to, { ...place, channels, turns });
    },
    close() {
      scaled.free();
      scaler.freeContext();
    },
  };
}

async function imageSize(path: string): Promise<{ height: number; width: number }> {
  const { autoOrient } = await readImage(path, (image) => image.metadata());
  return { height: autoOrient.height, width: autoOrient.width };
}

async function decodeImage(
  path: string,
  first: { readonly height: number; readonly width: number },
  [height, width]: Size,
  channels: 1 | 3,
): Promise<Picture> {
  const own = await imageSize(path);
  if (own.height !== first.height || own.width !== first.width)
    throw new FormatError(
      `holds frames of ${first.height}x${first.width} and of ${own.height}x${own.width} pixels`,
    );
  const pixels = await readImage(path, (image) =>
    image
      .autoOrient()
      .flatten({ background: "black" })
      .toColourspace(channels === 1 ? "b-w" : "srgb")
      .resize(width, height, { fit: "fill", kernel: "cubic", fastShrinkOnLoad: false })
      .raw({ depth: "uchar" })
      .toBuffer(),
  );
  return { pixels, stride: width * channels, height, width };
}

async function readImage<T>(path: string, read: (image: Sharp) => Promise<T>): Promise<T> {
  try {
    return await read(sharp(path, { failOn: "error" }));
  } catch (error) {
    const [line] = (error as Error).message.split("\n");
    throw new FormatError(`holds a frame that cannot be read: ${line}`, { cause: error });
  }
}
