/** Gray and colour images of 8 and 16 bits, decoded by libvips. */
import sharp, { type Sharp, type SharpOptions } from "sharp";
import { resample } from "../augment/resample.js";
import type { Box, View } from "../augment/view.js";
import type { Decoded } from "./channels.js";
import type { ImageFile } from "./image-file.js";

/** A cut-off file fails; one with harmless faults, such as stray bytes between markers, does not. Any bands: see below. */
const OPTIONS: SharpOptions = { failOn: "error", limitInputChannels: false };

export interface SharpHeader {
  readonly height: number;
  readonly width: number;
  readonly gray: boolean;
  /** Per channel. */
  readonly bits: 8 | 16;
  readonly format: string;
  /** False for what is no gray or colour picture of 8 or 16 bits: measurements, many bands. */
  readonly pictures: boolean;
}

export async function readSharpHeader(bytes: Uint8Array): Promise<SharpHeader> {
  const meta = await sharp(bytes, OPTIONS).metadata();
  return {
    height: meta.autoOrient.height,
    width: meta.autoOrient.width,
    gray: meta.space === "b-w" || meta.space === "grey16",
    bits: meta.depth === "ushort" ? 16 : 8,
    format: meta.format,
    pictures: meta.channels <= 4 && (meta.depth === "uchar" || meta.depth === "ushort"),
  };
}

export function openSharpFile(bytes: Uint8Array, header: SharpHeader): ImageFile {
  const { height, width } = header;
  const open = () => sharp(bytes, OPTIONS).autoOrient();
  return {
    height,
    width,
    decode: () => toPixels(open(), header),
    decodeView(view) {
      const down = view.box.height / view.size[0];
      const across = view.box.width / view.size[1];
      return down >= 1 && across >= 1
        ? toPixels(shrink(bytes, header, view), header)
        : enlarge(open(), header, view);
    },
  };
}

/** JPEG and WebP decode to a fraction of their size at a fraction of the cost, from a fourth on with twofold margin. */
const SHRINKS_ON_LOAD = new Set(["jpeg", "webp"]);

/** Resampling in libvips while it decodes. */
function shrink(
  bytes: Uint8Array,
  { height, width, format }: SharpHeader,
  { box, window, size }: View,
): Sharp {
  const [rows, columns] = size;
  const [down, across] = [box.height / rows, box.width / columns];
  const image = sharp(bytes, OPTIONS).autoOrient();
  const options = { fit: "fill", kernel: "cubic", fastShrinkOnLoad: false } as const;
  const resizeFirst = box !== window || (SHRINKS_ON_LOAD.has(format) && Math.min(down, across) >= 4);
  if (!resizeFirst) return image.extract(box).resize(columns, rows, options);
  const resizedRows = Math.max(rows, Math.round(height / down));
  const resizedColumns = Math.max(columns, Math.round(width / across));
  return image.resize(resizedColumns, resizedRows, options).extract({
    top: Math.min(resizedRows - rows, Math.round(box.top / down)),
    left: Math.min(resizedColumns - columns, Math.round(box.left / across)),
    height: rows,
    width: columns,
  });
}

/** What the cubic kernel reads beside the box. */
const MARGIN = 3;

/** The pixels that the view reads are cut out, however long the image is, and resampled here. */
async function enlarge(image: Sharp, header: SharpHeader, { box, window, size }: View): Promise<Decoded> {
  const marginY = Math.ceil(MARGIN * Math.max(1, box.height / size[0]));
  const marginX = Math.ceil(MARGIN * Math.max(1, box.width / size[1]));
  const top = Math.max(window.top, Math.floor(box.top) - marginY);
  const left = Math.max(window.left, Math.floor(box.left) - marginX);
  const part: Box = {
    top,
    left,
    height: Math.min(window.top + window.height, Math.ceil(box.top + box.height) + marginY) - top,
    width: Math.min(window.left + window.width, Math.ceil(box.left + box.width) + marginX) - left,
  };
  const { alpha, ...pixels } = await toPixels(image.extract(part), header);
  const picture = resample(pixels, {
    window: { top: 0, left: 0, height: part.height, width: part.width },
    box: { ...box, top: box.top - top, left: box.left - left },
    size,
    flip: false,
  });
  return { ...picture, alpha };
}

async function toPixels(image: Sharp, { gray, bits }: SharpHeader): Promise<Decoded> {
  const { data, info } = await image
    .toColourspace(gray ? (bits === 16 ? "grey16" : "b-w") : bits === 16 ? "rgb16" : "srgb")
    .raw({ depth: bits === 16 ? "ushort" : "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { height, width, channels } = info;
  const pixels =
    bits === 16
      ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { pixels, height, width, channels, alpha: channels % 2 === 0 };
}
