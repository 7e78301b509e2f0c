/** Voting: a cloud is judged from several random views of it, as published accuracies of point clouds are. */
import type * as tf from "@tensorflow/tfjs";
import {
  accuracy,
  argmaxRows,
  type Classifier,
  createRandom,
  type Dataset,
  expect,
  extractFeatures,
  type Model,
  tidy,
} from "@unmask/core";
import type { PointSample } from "../sample.js";

export interface VoteOptions {
  /** 10 when absent, Point-MAE's. */
  readonly views?: number;
  readonly seed?: number;
  readonly batchSize?: number;
}

export interface VoteScores {
  /** Of the added class probabilities of all views. */
  readonly top1: number;
  /** Of each view alone. */
  readonly perView: readonly number[];
}

/**
 * Scores a classifier on training views of a labelled data set: each view is another draw of points and of the data set's
 * augmentation.
 */
export async function vote(
  model: Model,
  dataset: Dataset<PointSample>,
  { views = 10, seed = 0, batchSize }: VoteOptions = {},
): Promise<VoteScores> {
  expect(Number.isInteger(views) && views > 0, `vote: views must be a positive integer, got ${views}`);
  const { logits } = model.method as Partial<Classifier>;
  expect(logits !== undefined, `vote: ${model.method.id} tells no classes apart; give a classifier`);
  const source = (samples: readonly PointSample[]): tf.Tensor =>
    tidy(() => logits(model.params, model.config, samples).softmax());
  const perView: number[] = [];
  let votes: Float64Array | undefined;
  let labels = new Int32Array(0);
  let classes = 0;
  for (let view = 0; view < views; view++) {
    const random = createRandom(seed).child("vote", view);
    const { features, width, labels: own } = await extractFeatures(source, dataset, { random, batchSize });
    expect(own !== undefined, `vote: ${dataset.name} has no labels`);
    const known = [...own.keys()].filter((i) => own[i]! >= 0);
    labels = Int32Array.from(known, (i) => own[i]!);
    classes = width;
    const shares = Float64Array.from({ length: known.length * width }, (_, at) => {
      return features[known[Math.floor(at / width)]! * width + (at % width)]!;
    });
    perView.push(accuracy(argmaxRows(shares, width), labels));
    votes = votes?.map((value, i) => value + shares[i]!) ?? shares;
  }
  return { top1: accuracy(argmaxRows(votes!, classes), labels), perView };
}
