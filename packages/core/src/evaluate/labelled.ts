/** What every evaluation checks first: that there are labels, more than one class, and the same classes on both sides. */
import { expect } from "../errors.js";

/** Features and labels of a set of samples; `extractFeatures` returns them. */
export interface FeatureRows {
  /** [n, width] */
  readonly features: Float32Array;
  readonly width: number;
  /** Class of each row, -1 where unknown. */
  readonly labels?: Int32Array;
  readonly classes?: readonly string[];
}

/** Rows that all have a label. */
export interface LabelledRows {
  /** [count, width] */
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
}

export interface Task {
  readonly train: LabelledRows;
  readonly test: LabelledRows;
  readonly width: number;
  /** Names in the order of their label. */
  readonly classes: readonly string[];
}

interface Labels {
  readonly labels?: Int32Array;
  readonly classes?: readonly string[];
}

/**
 * The class names that train and test share. Throws when either has no labels, when the class lists differ, or when
 * training knows only one class.
 * @param name the function that asks, for its messages
 */
export function commonClasses(name: string, train: Labels, test: Labels): readonly string[] {
  const trainLabels = known(name, "train", train);
  const testLabels = known(name, "test", test);
  const counted = (labels: Int32Array) => labels.reduce((most, label) => Math.max(most, label), -1) + 1;
  const named = train.classes ?? test.classes;
  if (train.classes !== undefined && test.classes !== undefined)
    expect(
      train.classes.length === test.classes.length && train.classes.every((c, i) => c === test.classes?.[i]),
      () =>
        `${name}: train and test have different classes (${difference(train.classes!, test.classes!)}); give both the same class folders or class list`,
    );
  const count = named?.length ?? counted(trainLabels);
  const most = Math.max(counted(trainLabels), counted(testLabels));
  expect(
    most <= count,
    () =>
      `${name}: label ${most - 1} is outside the ${count} classes of train; train and test must share classes`,
  );
  const distinct = new Set(trainLabels.filter((label) => label >= 0)).size;
  expect(
    distinct > 1,
    () => `${name}: train holds samples of ${distinct} class; at least 2 are needed to tell any apart`,
  );
  return named ?? Array.from({ length: count }, (_, i) => String(i));
}

/** Train and test features with their unlabelled rows left out, checked against each other. */
export function classificationTask(name: string, train: FeatureRows, test: FeatureRows): Task {
  const classes = commonClasses(name, train, test);
  expect(
    train.width === test.width,
    () =>
      `${name}: train features are ${train.width} wide, test features ${test.width}; use one encoder for both`,
  );
  return {
    train: labelledRows(name, "train", train),
    test: labelledRows(name, "test", test),
    width: train.width,
    classes,
  };
}

/** The rows that have a label; throws where none has, or where a feature is not finite. */
export function labelledRows(name: string, which: string, rows: FeatureRows): LabelledRows {
  const { features, width } = rows;
  const labels = known(name, which, rows);
  expect(
    features.length === labels.length * width,
    () => `${name}: ${which} has ${labels.length} labels but ${features.length} values in rows of ${width}`,
  );
  const bad = features.findIndex((value) => !Number.isFinite(value));
  expect(
    bad === -1,
    () => `${name}: row ${Math.floor(bad / width)} of the ${which} features is not finite; check the encoder`,
  );
  if (labels.every((label) => label >= 0)) return { features, labels, count: labels.length };
  const keep = [...labels.keys()].filter((row) => labels[row]! >= 0);
  const kept = new Float32Array(keep.length * width);
  keep.forEach((row, i) => {
    kept.set(features.subarray(row * width, (row + 1) * width), i * width);
  });
  return { features: kept, labels: Int32Array.from(keep, (row) => labels[row]!), count: keep.length };
}

function known(name: string, which: string, { labels = new Int32Array(0) }: Labels): Int32Array {
  expect(
    labels.some((label) => label >= 0),
    `${name}: the ${which} set has no labels; use one folder for each class, or a reader that knows the classes`,
  );
  return labels;
}

function difference(train: readonly string[], test: readonly string[]): string {
  const only = (a: readonly string[], b: readonly string[]) => a.filter((c) => !b.includes(c)).slice(0, 5);
  const parts = [
    ...only(train, test).map((c) => `${c} only in train`),
    ...only(test, train).map((c) => `${c} only in test`),
  ];
  return parts.join(", ") || "the same names in another order";
}
