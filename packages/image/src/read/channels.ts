/** From the channels a file has to those that are wanted. */
import { whiteOf } from "@unmask/core";
import { blankLike } from "../augment/augmentations.js";
import type { ImageSample } from "../sample.js";

/** A picture as its file has it. */
export interface Decoded extends ImageSample {
  /** The last channel is opacity. */
  readonly alpha: boolean;
}

/** How many channels a reader gives; `auto`: as many as each file has. */
export type Channels = number | "auto";

/**
 * Gray is repeated for colour, colour weighed to gray as ITU-R 601 does (0.299, 0.587, 0.114). Opacity is kept when two
 * channels (gray, opacity) or four are wanted and full where the file has none; else the picture is laid over `background`.
 * @returns the picture, or the reason why it cannot have those channels.
 */
export function toChannels(decoded: Decoded, wanted: Channels, background: number): ImageSample | string {
  const { alpha, ...image } = decoded;
  if (wanted === "auto" || wanted === image.channels) return image;
  const colours = image.channels - Number(alpha);
  const reason = `has ${image.channels} channels where ${wanted} are wanted`;
  if (colours !== 1 && colours !== 3) return reason;
  switch (wanted) {
    case 1:
      return toGray(alpha ? layOver(image, background) : image);
    case 3:
      return repeatGray(alpha ? layOver(image, background) : image, 3);
    case 4: {
      if (!alpha) return addOpacity(repeatGray(image, 3));
      return addOpacity(repeatGray(dropLast(image), 3), image);
    }
    default:
      return reason;
  }
}

/** [H, W, C + opacity] -> [H, W, C] */
function layOver(image: ImageSample, background: number): ImageSample {
  const white = whiteOf(image.pixels);
  const behind = background * white;
  const round = image.pixels instanceof Float32Array ? (value: number) => value : Math.round;
  const { channels } = image;
  return mapPixels(image, channels - 1, (from, at, to, out) => {
    const opacity = from[at + channels - 1]! / white;
    for (let c = 0; c < channels - 1; c++)
      to[out + c] = round(from[at + c]! * opacity + behind * (1 - opacity));
  });
}

function toGray(image: ImageSample): ImageSample {
  if (image.channels === 1) return image;
  const round = image.pixels instanceof Float32Array ? (value: number) => value : Math.round;
  return mapPixels(image, 1, (from, at, to, out) => {
    to[out] = round(0.299 * from[at]! + 0.587 * from[at + 1]! + 0.114 * from[at + 2]!);
  });
}

function repeatGray(image: ImageSample, channels: number): ImageSample {
  if (image.channels === channels) return image;
  return mapPixels(image, channels, (from, at, to, out) => {
    for (let c = 0; c < channels; c++) to[out + c] = from[at]!;
  });
}

function dropLast(image: ImageSample): ImageSample {
  const channels = image.channels - 1;
  return mapPixels(image, channels, (from, at, to, out) => {
    for (let c = 0; c < channels; c++) to[out + c] = from[at + c]!;
  });
}

/** Appends the last channel of `source`, or full opacity. */
function addOpacity(image: ImageSample, source?: ImageSample): ImageSample {
  const { channels } = image;
  const white = whiteOf(image.pixels);
  return mapPixels(image, channels + 1, (from, at, to, out) => {
    for (let c = 0; c < channels; c++) to[out + c] = from[at + c]!;
    to[out + channels] = source ? source.pixels[(at / channels + 1) * source.channels - 1]! : white;
  });
}

/** A new image of `channels` channels, each pixel of which `write` makes from the old one. */
function mapPixels(
  image: ImageSample,
  channels: number,
  write: (from: ImageSample["pixels"], at: number, to: ImageSample["pixels"], out: number) => void,
): ImageSample {
  const count = image.height * image.width;
  const pixels = blankLike(image.pixels, count * channels, 0);
  for (let i = 0; i < count; i++) write(image.pixels, i * image.channels, pixels, i * channels);
  return { ...image, pixels, channels };
}
