/** Image data sets by path, as the command line names them. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { type Dataset, expect, type OpenOptions, type Source, UnmaskError } from "@unmask/core";
import { z } from "zod";
import type { ImageInput } from "../batch.js";
import type { Channels } from "../read/channels.js";
import { idxImages } from "../read/idx-images.js";
import { imageFiles, imageFolder } from "../read/image-folder.js";
import { IMAGE_EXTENSIONS } from "../read/list-images.js";
import type { TrainingView } from "../read/view-options.js";
import type { ImageSample } from "../sample.js";
import type { ImageMethod } from "../views.js";

const range = z.tuple([z.number().positive(), z.number().positive()]);

/** The `data` section of a config. */
export const imageDataSchema = z.strictObject({
  resize: z
    .enum(["centre-crop", "stretch", "pad", "crop"])
    .optional()
    .describe(
      "how images of another size are fitted when nothing is random; centre-crop when not given; crop resamples nothing",
    ),
  augment: z
    .enum(["none", "crop", "crop-flip"])
    .optional()
    .describe("training view; crop-flip for folders and none for idx files when not given"),
  crop: z
    .strictObject({ scale: range.optional(), ratio: range.optional() })
    .optional()
    .describe("shares of the area and aspects that random crops have; 0.2-1 and 3/4-4/3 when not given"),
  background: z.number().min(0).max(1).optional().describe("behind transparent pixels: 0 black, 1 white"),
  labels: z.string().optional().describe("idx file of labels; the one beside the images when not given"),
});

export type ImageData = z.output<typeof imageDataSchema>;

/** A folder of images, single images, or an idx file (or a folder that holds MNIST's) with its labels. */
export function openImages(
  source: Source,
  { method, config, data: given, classes }: OpenOptions,
): Dataset<ImageSample> {
  const { imageSize, channels } = config as ImageInput;
  const data = imageDataSchema.parse(given);
  const trainingView = (method as ImageMethod).trainingView?.(config);
  expect(
    trainingView === undefined || (data.augment === undefined && data.crop === undefined),
    () =>
      `images: ${method.id} makes its own training views; set them in its config, not by data.augment and data.crop`,
  );
  return openWith(source, data, { size: imageSize, channels, classes, trainingView });
}

/** The images as they are in their files: no common size, as many channels as each has. */
export function openAsIs(source: Source, data: ImageData): Dataset<ImageSample> {
  return openWith(source, { ...data, augment: "none" }, { channels: "auto" });
}

interface Form {
  readonly size?: readonly [number, number];
  readonly channels: Channels;
  readonly classes?: readonly string[];
  readonly trainingView?: TrainingView;
}

function openWith(source: Source, { labels, ...view }: ImageData, form: Form): Dataset<ImageSample> {
  if (typeof source !== "string") {
    const [only, ...others] = source;
    if (only !== undefined && others.length === 0 && IDX_NAME.test(basename(only)))
      return openWith(only, { labels, ...view }, form);
    return imageFiles(source, { ...view, ...form });
  }
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new UnmaskError(`images: there is no ${source}; give a folder of images or an idx file`);
  const idx = stats.isDirectory() ? mnistFile(source) : source;
  if (idx === undefined) {
    expect(
      labels === undefined,
      "images: data.labels goes with an idx file; in a folder the sub-folders are classes",
    );
    return imageFolder(source, { ...view, ...form });
  }
  if (IMAGE_EXTENSIONS.has(extname(idx).toLowerCase())) return imageFiles([idx], { ...view, ...form });
  const { classes, size, trainingView } = form;
  return idxImages(idx, labels ?? labelsBeside(idx), {
    ...view,
    size,
    trainingView,
    ...(classes && { classes }),
  });
}

/** As MNIST and its successors name files of images. */
const IDX_NAME = /idx[34]-ubyte(\.gz)?$/;

/** The training images of a folder that holds MNIST's files. */
function mnistFile(folder: string): string | undefined {
  return ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"]
    .map((name) => join(folder, name))
    .find((path) => existsSync(path));
}

function labelsBeside(images: string): string | undefined {
  const name = basename(images)
    .replace(/\.gz$/, "")
    .replace("images", "labels")
    .replace("idx3", "idx1")
    .replace("idx4", "idx1");
  if (name === basename(images)) return undefined;
  return [name, `${name}.gz`].map((file) => join(dirname(images), file)).find((path) => existsSync(path));
}

/** Pixels as they are, white being 1: what an encoder has to beat. [n * height * width * channels] */
export function rawPixels(samples: readonly ImageSample[]): Float32Array {
  const width = samples[0]?.pixels.length ?? 0;
  const rows = new Float32Array(samples.length * width);
  samples.forEach(({ pixels }, i) => {
    const white = pixels instanceof Uint8Array ? 255 : pixels instanceof Uint16Array ? 65535 : 1;
    for (let j = 0; j < width; j++) rows[i * width + j] = pixels[j]! / white;
  });
  return rows;
}
