/** Images of any number of bands and any kind of number: TIFF as satellites and microscopes write it, and NumPy arrays. */
import { expect, FormatError, parseNpy, type RawTensor, rawTensor, toFloat32 } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import type { ImageFile } from "./image-file.js";

/** As many values as libvips accepts pixels. */
const MAX_VALUES = 0x3fff ** 2;

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
export async function openBandFile(bytes: Uint8Array): Promise<ImageFile> {
  const { fromArrayBuffer } = await import("geotiff");
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const image = await (await fromArrayBuffer(whole)).getImage();
  const [height, width, channels] = [image.getHeight(), image.getWidth(), image.getSamplesPerPixel()];
  expect(
    height > 0 && width > 0 && channels > 0 && height * width * channels <= MAX_VALUES,
    `${height}x${width} pixels of ${channels} bands exceed the limit of ${MAX_VALUES} values`,
  );
  return {
    height,
    width,
    async decode() {
      const data = await image.readRasters({ interleave: true });
      const values = data as Exclude<typeof data, readonly unknown[]>;
      return { pixels: toPixels(rawTensor(values as Uint8Array)), height, width, channels, alpha: false };
    },
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
