/** A folder of image files as a data set. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { BadSampleError, createDataset, type Dataset, expect, type Random } from "@unmask/core";
import { folderClasses } from "@unmask/core/node";
import { flipHorizontal, placeImage } from "../augment/augmentations.js";
import type { ImageSample } from "../sample.js";
import { type Channels, type Decoded, toChannels } from "./channels.js";
import { openImageFile } from "./image-file.js";
import { listImages } from "./list-images.js";
import { plainBytes } from "./plain-bytes.js";
import { createViewer, type ViewOptions } from "./view-options.js";

export interface ImageFolderOptions extends ViewOptions {
  /**
   * 1 gray, 3 colour (the default), 4 colour and opacity; another number asks for files of just that many bands;
   * `auto` gives what each file has.
   */
  readonly channels?: Channels;
  /** Names of sub-folders in the order of their class index; default all, sorted. Give a test folder those of training. */
  readonly classes?: readonly string[];
  /** Bytes of decoded small images to keep in memory. Default 256 MiB. Results do not depend on it. */
  readonly cache?: number;
}

export interface ImageFolder extends Dataset<ImageSample> {
  /** Other files that were left out, by extension. */
  readonly ignored: ReadonlyMap<string, number>;
  /** Changes when a file is added, removed or written, or when other evaluation views are asked for. */
  fingerprint(): Promise<string>;
}

/** Images of at most so many pixels are decoded whole, kept if there is room, and resampled in memory. */
const SMALL_IMAGE = 2 ** 16;

/**
 * The png, jpg, webp, tiff, avif, gif (first frame) and npy files of a folder and its sub-folders, sorted by path. Files
 * are recognised by extension; hidden ones are left out. First-level sub-folders are classes where there are any.
 * Orientation tags are honoured, profiles and CMYK converted to sRGB, 16 bits kept as Uint16Array; TIFFs and arrays of
 * other numbers come as floats. The training view is MAE's unless `augment` says otherwise: random crop and flip.
 * @throws UnmaskError when the folder holds no image. `get` throws a BadSampleError for a file that cannot be read.
 */
export function imageFolder(directory: string, options: ImageFolderOptions = {}): ImageFolder {
  const { paths, ignored } = listImages(directory);
  const dataset = readImages("imageFolder", directory, paths, options, folderClasses(paths, options.classes));
  return {
    ...dataset,
    name: directory,
    ignored,
    fingerprint: () => fingerprintOf(directory, paths, options),
  };
}

/** Single image files, without classes; read as {@link imageFolder} reads them. */
export function imageFiles(
  files: readonly string[],
  options: Omit<ImageFolderOptions, "classes"> = {},
): Dataset<ImageSample> {
  return readImages("imageFiles", "", files, options, {});
}

function readImages(
  caller: string,
  directory: string,
  paths: readonly string[],
  options: ImageFolderOptions,
  { classes, labels }: ReturnType<typeof folderClasses>,
): Dataset<ImageSample> {
  const { channels = 3, background = 1, cache = 256 * 2 ** 20 } = options;
  expect(
    channels === "auto" || (Number.isInteger(channels) && channels > 0),
    `${caller}: channels must be a positive integer or "auto", got ${channels}`,
  );
  const viewer = createViewer({ augment: "crop-flip", ...options }, caller);
  const kept = createPixelCache(cache);

  async function get(index: number, random?: Random): Promise<ImageSample> {
    const path = paths[index];
    expect(
      path !== undefined,
      `${directory || caller}: there is no image ${index}; indices are 0-${paths.length - 1}`,
    );
    const small = kept.get(index);
    const picture = small ? viewer.take(small, random) : await readPicture(index, path, random);
    return labels ? { ...picture, label: labels[index]! } : picture;
  }

  async function readPicture(index: number, path: string, random?: Random): Promise<ImageSample> {
    const inChannels = (decoded: Decoded) => {
      const image = toChannels(decoded, channels, background);
      if (typeof image === "string") throw new BadSampleError(path, image);
      return image;
    };
    try {
      const bytes = plainBytes(await readFile(join(directory, path)));
      if (bytes.byteLength === 0) throw new BadSampleError(path, "the file is empty");
      const file = await openImageFile(path, bytes);
      if (!file.decodeView || file.height * file.width <= SMALL_IMAGE) {
        const image = inChannels(await file.decode());
        kept.set(index, image);
        return viewer.take(image, random);
      }
      const view = viewer.viewOf(file.height, file.width, random);
      const picture = placeImage(inChannels(await file.decodeView(view)), view, background);
      return viewer.finish(view.flip ? flipHorizontal(picture) : picture, random);
    } catch (error) {
      if (error instanceof BadSampleError) throw error;
      throw new BadSampleError(path, oneLine((error as Error).message), { cause: error });
    }
  }

  return createDataset<ImageSample>({
    name: paths.length === 1 ? paths[0]! : `${paths.length} images`,
    length: paths.length,
    ...(labels && { labels }),
    ...(classes && { classes }),
    nameOf: (index) => paths[index] ?? String(index),
    get,
  });
}

async function fingerprintOf(
  directory: string,
  paths: readonly string[],
  { size, resize, channels = 3, background = 1 }: ImageFolderOptions,
): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify({ size, resize, channels, background }));
  for (const path of paths) {
    const file = await stat(join(directory, path)).catch(() => undefined);
    hash.update(JSON.stringify([path, file?.size, file?.mtimeMs]));
  }
  return hash.digest("hex");
}

/** libvips says the same on several lines, and nothing where another thread has taken its words. */
function oneLine(message: string): string {
  const lines = message.split("\n").map((line) => line.trim());
  const said = [...new Set(lines.filter((line) => line !== ""))].join("; ");
  return said === "" || said === "Unknown error" ? "the file is damaged or cut short" : said;
}

/** Decoded images up to `limit` bytes, first come first kept: an epoch visits each once, so nothing is worth replacing. */
function createPixelCache(limit: number) {
  const images = new Map<number, ImageSample>();
  let bytes = 0;
  return {
    get: (index: number) => images.get(index),
    set(index: number, image: ImageSample) {
      if (images.has(index) || bytes + image.pixels.byteLength > limit) return;
      bytes += image.pixels.byteLength;
      images.set(index, image);
    },
  };
}
