/** What every image reader can be asked for: the size of its pictures and how they are cut from the images. */
import { expect, type Random } from "@unmask/core";
import { type Augmentation, takeView } from "../augment/augmentations.js";
import {
  type CropOptions,
  type Fit,
  fitView,
  randomCropView,
  type Size,
  toSize,
  type View,
  wholeView,
} from "../augment/view.js";
import type { ImageSample } from "../sample.js";

export interface ViewOptions {
  /** Side of square pictures, or [height, width]. */
  readonly size?: number | Size;
  /** The evaluation view of images that have another size. Default `centre-crop`. */
  readonly resize?: Fit;
  /**
   * The training view: the evaluation view, a random crop (bicubic, MAE's), such a crop mirrored half of the time,
   * or the evaluation view changed by a function.
   */
  readonly augment?: "none" | "crop" | "crop-flip" | Augmentation;
  /**
   * The training sample made of the whole decoded picture, in place of `augment`; it may hold several views, which cost one
   * decoding together. A method that learns from views says how it wants them: `simclr.trainingView(config)`.
   */
  readonly trainingView?: TrainingView;
  /** Area and aspect of random crops. Default MAE's: a share of 0.2-1, an aspect of 3/4-4/3. */
  readonly crop?: CropOptions;
  /** What stands behind transparent pixels and in bars of `pad`: 0 black to 1 white, the default. */
  readonly background?: number;
}

/** Makes a training sample of a whole decoded picture. */
export type TrainingView = Augmentation & {
  /** Large pictures are not reduced while they are decoded: it looks at single pixels. */
  readonly fullResolution?: boolean;
};

/** Larger pictures are reduced to so many times the wanted size before a `trainingView`: 8 % of one still fill it. */
const MARGIN = 4;

export interface Viewer {
  readonly background: number;
  /** The view of an image of this height and width: the training view where there is a generator to draw from. */
  viewOf(height: number, width: number, random?: Random): View;
  /** The view of an image in memory. */
  take(image: ImageSample, random?: Random): ImageSample;
  /** What remains to be done with the picture a view took. */
  finish(picture: ImageSample, random?: Random): ImageSample;
}

/** `caller` is named in errors; without a size each image keeps its own. */
export function createViewer(
  { size, resize = "centre-crop", augment = "none", trainingView, crop, background = 1 }: ViewOptions,
  caller: string,
): Viewer {
  const wanted = size === undefined ? undefined : toSize(size, caller);
  expect(background >= 0 && background <= 1, `${caller}: background must be in 0-1, got ${background}`);
  checkRange(crop?.scale, "scale");
  checkRange(crop?.ratio, "ratio");

  function checkRange(range: readonly [number, number] | undefined, name: string) {
    expect(
      range === undefined || (range[0] > 0 && range[0] <= range[1]),
      () => `${caller}: crop.${name} must be [least, greatest], both positive, got ${JSON.stringify(range)}`,
    );
  }

  function reduced(height: number, width: number): Size {
    const scale = Math.max(...(wanted ?? [height, width])) * MARGIN;
    const factor = Math.min(1, scale / Math.min(height, width));
    return [Math.round(height * factor), Math.round(width * factor)];
  }

  const viewer: Viewer = {
    background,
    viewOf(height, width, random) {
      if (random && trainingView)
        return wholeView(
          height,
          width,
          trainingView.fullResolution ? [height, width] : reduced(height, width),
        );
      const to = wanted ?? [height, width];
      if (!random || typeof augment === "function" || augment === "none")
        return fitView(height, width, to, resize);
      const view = randomCropView(height, width, to, random, crop);
      return augment === "crop-flip" ? { ...view, flip: random.uniform() < 0.5 } : view;
    },
    take: (image, random) =>
      viewer.finish(takeView(image, viewer.viewOf(image.height, image.width, random), background), random),
    finish(picture, random) {
      if (random === undefined) return picture;
      if (trainingView) return trainingView(picture, random);
      return typeof augment === "function" ? augment(picture, random) : picture;
    },
  };
  return viewer;
}
