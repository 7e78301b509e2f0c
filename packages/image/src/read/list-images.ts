/** The image files of a folder. */
import { type FolderListing, listFolder } from "@unmask/core/node";

export const IMAGE_EXTENSIONS = new Set([
  ".png",
  ".jpg",
  ".jpeg",
  ".jfif",
  ".webp",
  ".tif",
  ".tiff",
  ".avif",
  ".gif",
  ".npy",
]);

/** @throws UnmaskError when the folder cannot be read or holds no image */
export const listImages = (directory: string): FolderListing =>
  listFolder(directory, { caller: "imageFolder", wanted: "image", extensions: IMAGE_EXTENSIONS });
