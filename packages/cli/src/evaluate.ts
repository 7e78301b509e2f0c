/** Evaluation of a model by its features, from data to table. */
import type { EvaluationInput, ModalityPackage, Model, Scores } from "@unmask/core";
import { type LabelledSource, openLabelled } from "./labelled-data.js";
import {
  type FeaturePool,
  type FeatureSets,
  listSkipped,
  type MeasuredRun,
  measureSubjects,
  reportMeasured,
  type Subject,
  subjectsOf,
} from "./measure.js";
import type { Output } from "./output.js";

export interface Evaluated {
  readonly output: Output;
  readonly modality: ModalityPackage;
  readonly model: Model;
  /** Where the numbers are kept. */
  readonly runs: readonly MeasuredRun[];
  readonly source: LabelledSource;
}

export interface EvaluationOptions {
  readonly pool: FeaturePool;
  /** How many. */
  readonly seeds: number;
  readonly baselines?: boolean;
}

/** One way of measuring features. */
export interface Measurement {
  readonly kind: string;
  /** What tables call it. */
  readonly title: string;
  readonly settings: EvaluationInput["settings"];
  /** Whether it draws anything. */
  readonly seeded: boolean;
  measure(sets: FeatureSets, seed: number, subject: Subject): Promise<Scores>;
}

export async function evaluateFeatures(
  { output, modality, model, runs, source }: Evaluated,
  { pool, seeds: count, baselines = false }: EvaluationOptions,
  { kind, title, settings, seeded, measure }: Measurement,
): Promise<void> {
  const data = openLabelled(modality, source, model);
  const seeds = Array.from({ length: count }, (_, i) => i);
  const subjects = subjectsOf({ modality, model, data, pool, seeds, baselines, output });
  const { measured, sets } = await measureSubjects(subjects, seeds, seeded, measure);
  const { train, test } = sets;
  await reportMeasured(measured, {
    output,
    runs,
    kind,
    title,
    settings: { pool, ...settings },
    data: {
      name: source.name,
      train: train.names.length,
      test: test.names.length,
      classes: train.classes?.length ?? new Set(train.labels).size,
    },
  });
  listSkipped(output, sets);
}
