/** Samples by index: what a reader of any modality returns and what training and evaluation take. */
import { BadSampleError } from "../errors.js";
import type { Random } from "../random.js";

export interface Dataset<S> {
  /** What a person calls it: a folder, a file. */
  readonly name: string;
  readonly length: number;
  /** Class of each sample, -1 where unknown; absent when nothing is labelled. */
  readonly labels?: Int32Array;
  readonly classes?: readonly string[];
  /** What a person calls a sample: a path inside the folder, or its index. */
  nameOf(index: number): string;
  /**
   * One sample. With `random`: the training view, augmented by draws from it. Without: the evaluation view.
   * Throws a BadSampleError where the sample cannot be read.
   */
  get(index: number, random?: Random): Promise<S>;
  /** The evaluation views of the first `count` samples that can be read. */
  take(count: number): Promise<S[]>;
}

/** Completes a data set from what is its own. */
export function createDataset<S>(
  own: Omit<Dataset<S>, "take" | "nameOf"> & { nameOf?: (index: number) => string },
): Dataset<S> {
  const dataset: Dataset<S> = {
    ...own,
    nameOf: own.nameOf ?? String,
    async take(count) {
      const samples: S[] = [];
      for (let i = 0; i < own.length && samples.length < count; i++) {
        try {
          samples.push(await own.get(i));
        } catch (error) {
          if (!(error instanceof BadSampleError)) throw error;
        }
      }
      return samples;
    },
  };
  return dataset;
}

/** The samples at `indices`, in that order. */
export function subset<S>(dataset: Dataset<S>, indices: ArrayLike<number>): Dataset<S> {
  const order = Int32Array.from(indices);
  const { labels, classes } = dataset;
  return createDataset<S>({
    name: dataset.name,
    length: order.length,
    classes,
    labels: labels && order.map((index) => labels[index]!),
    nameOf: (i) => dataset.nameOf(order[i]!),
    get: (i, random) => dataset.get(order[i]!, random),
  });
}
