/** Images that are in memory already. */
import { createDataset, type Dataset, expect } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import { createViewer, type ViewOptions } from "./view-options.js";

export interface ArrayImagesOptions extends ViewOptions {
  readonly height: number;
  readonly width: number;
  /** Default 1. */
  readonly channels?: number;
  /** Class of each image, -1 where unknown. */
  readonly labels?: ArrayLike<number>;
  readonly classes?: readonly string[];
  /** What a person calls the data set. */
  readonly name?: string;
}

/**
 * A data set of the images [N, height, width, channels] that lie one after the other in `pixels`, which it goes on using.
 * Integers span black to white of their type; floats are taken as they are. Without `size` images keep their own;
 * without `augment` the training view is the evaluation view.
 * @throws UnmaskError when the array is not a whole number of images or the labels are not as many.
 */
export function arrayImages(
  pixels: ImageSample["pixels"],
  options: ArrayImagesOptions,
): Dataset<ImageSample> {
  const { height, width, channels = 1, labels, classes, name = "array" } = options;
  for (const [key, value] of Object.entries({ height, width, channels }))
    expect(
      Number.isInteger(value) && value > 0,
      `arrayImages: ${key} must be a positive integer, got ${value}`,
    );
  const size = height * width * channels;
  const length = pixels.length / size;
  expect(
    Number.isInteger(length),
    `arrayImages: ${pixels.length} values are not a whole number of ${height}x${width}x${channels} images; check height, width and channels`,
  );
  expect(
    labels === undefined || labels.length === length,
    () => `arrayImages: ${length} images need as many labels, got ${labels?.length}`,
  );
  const viewer = createViewer(options, "arrayImages");
  const classOf = labels && Int32Array.from(labels);
  return createDataset<ImageSample>({
    name,
    length,
    ...(classOf && { labels: classOf }),
    ...(classes && { classes }),
    async get(index, random) {
      expect(
        Number.isInteger(index) && index >= 0 && index < length,
        `${name}: there is no image ${index}; indices are 0-${length - 1}`,
      );
      const image: ImageSample = {
        pixels: pixels.subarray(index * size, (index + 1) * size),
        height,
        width,
        channels,
        ...(classOf && { label: classOf[index]! }),
      };
      return viewer.take(image, random);
    },
  });
}
