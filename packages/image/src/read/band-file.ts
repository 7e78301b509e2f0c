/** Images of any number of bands and any kind of number: TIFF as satellites and microscopes write it, and NumPy arrays. */
import { FormatError, parseNpy, type RawTensor, toFloat32 } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import type { ImageFile } from "./image-file.js";
import { parseTiff, readTiff } from "./tiff.js";

/** An array [H, W] or [H, W, C] in NumPy's format. */
export function openNpyFile(bytes: Uint8Array): ImageFile {
  const array = parseNpy(bytes);
  const [height, width, channels = 1] = array.shape;
  if (array.shape.length < 2 || array.shape.length > 3 || !height || !width || !channels)
    throw new FormatError(`an array of shape [${array.shape.join(", ")}]; expected [H, W] or [H, W, C]`);
  return {
    height,
    width,
    decode: async () => ({ pixels: toPixels(array), height, width, channels, alpha: false }),
  };
}

/** A TIFF with all its bands. */
export function openTiffFile(bytes: Uint8Array): ImageFile {
  const layout = parseTiff(bytes);
  const { height, width, bands: channels } = layout;
  return {
    height,
    width,
    decode: async () => ({ pixels: await readTiff(bytes, layout), height, width, channels, alpha: false }),
  };
}

/** Unsigned integers of 8 and 16 bits stay as they are; every other number becomes a float of the same value. */
function toPixels(array: RawTensor): ImageSample["pixels"] {
  const { bytes } = array;
  if (array.dtype === "U8") return bytes;
  if (array.dtype !== "U16") return toFloat32(array);
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}
