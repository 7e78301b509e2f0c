/** One image file: its size at once, its pixels when asked for, whole or only the part that a picture needs. */
import { extname } from "node:path";
import type { View } from "../augment/view.js";
import { openNpyFile, openTiffFile } from "./band-file.js";
import type { Decoded } from "./channels.js";
import { openSharpFile, readSharpHeader } from "./sharp-file.js";

export interface ImageFile {
  /** As shown: after the orientation that the file asks for. */
  readonly height: number;
  readonly width: number;
  decode(): Promise<Decoded>;
  /**
   * The pixels of `view`'s size, without its flip, read from the whole image or only from what is needed of it.
   * Absent where the format must be decoded whole.
   */
  decodeView?(view: View): Promise<Decoded>;
}

/** Opens an image by its bytes; `path` tells the format where bytes do not. Throws what the format's decoder throws. */
export async function openImageFile(path: string, bytes: Uint8Array): Promise<ImageFile> {
  const extension = extname(path).toLowerCase();
  if (extension === ".npy") return openNpyFile(bytes);
  const isTiff = extension === ".tif" || extension === ".tiff";
  const header = await readSharpHeader(bytes).catch((error: unknown) => {
    if (!isTiff) throw error; // libvips refuses some kinds of number
  });
  return header && (header.pictures || !isTiff) ? openSharpFile(bytes, header) : openTiffFile(bytes);
}
