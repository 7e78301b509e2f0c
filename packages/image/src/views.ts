/** Training samples that hold several views of a picture. */
import type * as tf from "@tensorflow/tfjs";
import { type Batch, expect, type Method, type Params, type Random } from "@unmask/core";
import type { Augmentation } from "./augment/augmentations.js";
import { type ImageInput, imageTensor } from "./batch.js";
import type { TrainingView } from "./read/view-options.js";
import type { ImageSample } from "./sample.js";

// biome-ignore lint/suspicious/noExplicitAny: a method of types unknown here; each method is checked against its own
type Any = any;

/** A method of images. */
export interface ImageMethod<C extends object = Any, B extends Batch = Any, P extends Params = Any, R = Any>
  extends Method<C, ImageSample, B, P, R> {
  /**
   * How a training sample is made of the decoded picture, of whatever size, where that is the method's affair. Absent: the
   * reader's crop and flip. Evaluation always sees the plain picture.
   */
  trainingView?(config: C): TrainingView;
}

/** A sample that holds the view of each augmentation, all of the same picture, with draws of their own. */
export function severalViews(...augmentations: readonly Augmentation[]): Augmentation {
  return (picture, random: Random) =>
    withViews(augmentations.map((augment, i) => augment(picture, random.child("view", i))));
}

/** A sample of these views. */
export function withViews(views: readonly ImageSample[]): ImageSample {
  const [first] = views;
  expect(first !== undefined, "withViews: no views given; at least one is needed");
  return { ...first, views };
}

/**
 * Views `from` to `to` (exclusive) of all samples: all samples' first, then all samples' second ...
 * @returns [(to - from) * B, H, W, C], normalised
 */
export function viewTensor(
  config: ImageInput,
  samples: readonly ImageSample[],
  method: string,
  [from, to]: readonly [number, number] = [0, 2],
): tf.Tensor4D {
  const views = (sample: ImageSample) => {
    expect(
      (sample.views?.length ?? 1) >= to,
      () =>
        `${method}: learns from ${to} views of a picture, the sample holds ${sample.views?.length ?? 1}; open the data with trainingView: ${method}.trainingView(config)`,
    );
    return sample.views ?? [sample];
  };
  const ordered: ImageSample[] = [];
  for (let view = from; view < to; view++) for (const sample of samples) ordered.push(views(sample)[view]!);
  return imageTensor(config, ordered);
}
