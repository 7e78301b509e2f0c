/** Images in the idx files of MNIST and its successors. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type Dataset, FormatError, parseIdx, toInt32 } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import { arrayImages } from "./array-images.js";
import { plainBytes } from "./plain-bytes.js";
import type { ViewOptions } from "./view-options.js";

export interface IdxImagesOptions extends ViewOptions {
  readonly classes?: readonly string[];
}

/**
 * A data set of an idx file of bytes [N, height, width] or [N, height, width, channels] and, where given, one of labels
 * [N]; either may be gzipped. Both are read at once and kept in memory.
 * @throws FormatError when a file is damaged or holds something else.
 */
export function idxImages(
  imagesFile: string,
  labelsFile?: string,
  options: IdxImagesOptions = {},
): Dataset<ImageSample> {
  const images = readIdx(imagesFile);
  const [count, height, width, channels = 1] = images.shape;
  if (
    images.dtype !== "U8" ||
    images.shape.length < 3 ||
    images.shape.length > 4 ||
    !height ||
    !width ||
    !channels
  )
    throw new FormatError(
      `idxImages: ${imagesFile} holds ${images.dtype} of shape [${images.shape.join(", ")}]; expected bytes [N, height, width] or [N, height, width, channels]`,
    );
  const labels = labelsFile === undefined ? undefined : readIdx(labelsFile);
  if (labels && (labels.shape.length !== 1 || labels.shape[0] !== count))
    throw new FormatError(
      `idxImages: ${labelsFile} has shape [${labels.shape.join(", ")}]; expected [${count}], one label for each image of ${imagesFile}`,
    );
  return arrayImages(images.bytes, {
    ...options,
    name: basename(imagesFile),
    height,
    width,
    channels,
    ...(labels && { labels: toInt32(labels) }),
  });
}

function readIdx(path: string) {
  const bytes = plainBytes(readFileSync(path));
  try {
    return parseIdx(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(`${path}: ${error.message}`, { cause: error });
  }
}
