/** Few-shot classification of frozen features: some classes, some labelled samples of each, many times over. */
import { expect } from "../errors.js";
import { createRandom } from "../random.js";
import { type FeatureRows, labelledRows } from "./labelled.js";
import { linearSvm, type SvmOptions } from "./linear-svm.js";
import { type Spread, spread } from "./spread.js";

export interface FewShotOptions {
  /** Classes of an episode. */
  readonly ways: number;
  /** Labelled samples of each class. */
  readonly shots: number;
  /** Samples of each class that are told apart; 20 when absent, fewer where a class has fewer. */
  readonly queries?: number;
  /** 10 when absent. */
  readonly episodes?: number;
  readonly seed?: number;
  /** Of the linear support vector machine. */
  readonly svm?: Omit<SvmOptions, "seed">;
}

export interface FewShotScores {
  /** Accuracy over the episodes. */
  readonly top1: Spread;
  readonly perEpisode: readonly number[];
}

/**
 * n-way m-shot classification by a linear support vector machine (Sharma & Kaul, NeurIPS 2020; Point-BERT, Point-MAE): each
 * episode draws `ways` classes, `shots` samples of each to fit and others to score. The same seed draws the same episodes
 * whatever the features are, so that encoders are compared on the same ones.
 */
export function fewShot(rows: FeatureRows, options: FewShotOptions): FewShotScores {
  const { ways, shots, queries = 20, episodes = 10, seed = 0, svm } = options;
  for (const [name, value] of Object.entries({ ways, shots, queries, episodes }))
    expect(Number.isInteger(value) && value > 0, `fewShot: ${name} must be a positive integer, got ${value}`);
  const { features, labels, count } = labelledRows("fewShot", "given", rows);
  const members = new Map<number, number[]>();
  for (let i = 0; i < count; i++) members.set(labels[i]!, [...(members.get(labels[i]!) ?? []), i]);
  const able = [...members.keys()]
    .filter((label) => members.get(label)!.length > shots)
    .sort((a, b) => a - b);
  expect(
    ways >= 2 && able.length >= ways,
    () =>
      `fewShot: ${able.length} classes have more than ${shots} samples, ${ways} ways need as many classes (at least 2); take fewer ways or shots`,
  );
  const part = (indices: readonly (readonly number[])[]): FeatureRows => {
    const flat = indices.flat();
    const own = new Float32Array(flat.length * rows.width);
    flat.forEach((row, i) => {
      own.set(features.subarray(row * rows.width, (row + 1) * rows.width), i * rows.width);
    });
    const ofWays = indices.flatMap((of, way) => of.map(() => way));
    return { features: own, width: rows.width, labels: Int32Array.from(ofWays) };
  };
  const perEpisode = Array.from({ length: episodes }, (_, episode) => {
    const random = createRandom(seed).child("episode", episode);
    const chosen = [...random.permutation(able.length).subarray(0, ways)].map((i) => able[i]!);
    const drawn = chosen.map((label) => {
      const own = members.get(label)!;
      return [...random.permutation(own.length)].map((i) => own[i]!);
    });
    const support = part(drawn.map((own) => own.slice(0, shots)));
    const query = part(drawn.map((own) => own.slice(shots, shots + queries)));
    return linearSvm(support, query, { ...svm, seed }).top1;
  });
  return { top1: spread(perEpisode), perEpisode };
}
