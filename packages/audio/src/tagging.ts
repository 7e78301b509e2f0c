/** Classifiers of recordings with several labels, scored as AudioSet's are. */
import {
  averagePrecision,
  type Classifier,
  type Dataset,
  expect,
  extractFeatures,
  type Model,
  tidy,
} from "@unmask/core";
import type { AudioSample } from "./sample.js";

export interface TaggingScores {
  /** Mean of the average precisions of the classes that occur. */
  readonly meanAveragePrecision: number;
  /** Average precision of each class, not a number where it does not occur. */
  readonly perClass: Float64Array;
  /** Samples that could not be read. */
  readonly skipped: number;
}

/** Scores a classifier's output on evaluation views against all labels of each sample. */
export async function evaluateTagging(
  model: Model<object, AudioSample>,
  dataset: Dataset<AudioSample>,
): Promise<TaggingScores> {
  const { logits } = model.method as Partial<Classifier>;
  expect(logits !== undefined, `evaluateTagging: ${model.method.id} tells no classes apart; use audio-vit`);
  const rows: Float32Array[] = [];
  const features = await extractFeatures((samples: readonly AudioSample[]) => {
    const output = tidy(() => logits(model.params, model.config, samples));
    for (const { targets, label = -1 } of samples)
      rows.push(targets ?? Float32Array.from({ length: output.shape[1] }, (_, c) => (c === label ? 1 : 0)));
    return output;
  }, dataset);
  const classes = features.width;
  expect(
    rows.every((row) => row.length === classes),
    () => `evaluateTagging: the model tells ${classes} classes apart, the data has ${rows[0]?.length}`,
  );
  const perClass = Float64Array.from({ length: classes }, (_, c) => {
    const targets = rows.map((row) => row[c]!);
    if (!targets.some((target) => target > 0)) return Number.NaN;
    return averagePrecision(
      rows.map((_, i) => features.features[i * classes + c]!),
      targets,
    );
  });
  const known = perClass.filter((value) => !Number.isNaN(value));
  expect(known.length > 0, () => `evaluateTagging: ${dataset.name} has no labels`);
  return {
    meanAveragePrecision: known.reduce((sum, value) => sum + value, 0) / known.length,
    perClass,
    skipped: features.skipped.length,
  };
}
