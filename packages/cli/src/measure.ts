/** Evaluation of frozen features: those of a model and, for comparison, of a random encoder and none. */
import {
  createModel,
  type EvaluationInput,
  extractFeatures,
  type FeatureFunction,
  type Features,
  formatSpread,
  type ModalityPackage,
  type Model,
  type Pool,
  type Scores,
  spread,
} from "@unmask/core";
import { writeEvaluation, writeReport } from "@unmask/core/node";
import type { LabelledData } from "./labelled-data.js";
import { type Output, table } from "./output.js";

export type FeaturePool = Exclude<Pool, "tokens">;

export interface FeatureSets {
  readonly train: Features;
  readonly test: Features;
}

/** One row of the table. */
export interface Subject {
  readonly name: string;
  /** Seeds that its features depend on; absent where they depend on none. */
  readonly seeds?: readonly number[];
  /** Extracts its features. */
  features(seed: number): Promise<FeatureSets>;
}

export interface SubjectOptions {
  readonly modality: ModalityPackage;
  readonly model: Model;
  readonly data: LabelledData;
  readonly pool: FeaturePool;
  readonly seeds: readonly number[];
  readonly baselines: boolean;
  readonly output: Output;
}

const PRETRAINED = "pretrained";
export const FINETUNED = "finetuned";

/** The model and, where asked for, what it has to beat. */
export function subjectsOf({
  modality,
  model,
  data,
  pool,
  seeds,
  baselines,
  output,
}: SubjectOptions): Subject[] {
  const extract = async (name: string, source: Model | FeatureFunction<unknown>): Promise<FeatureSets> => {
    const options = typeof source === "function" ? {} : { pool };
    const part = (which: string, dataset: LabelledData["train"]) =>
      extractFeatures(source, dataset, {
        ...options,
        onProgress: ({ done, total }) =>
          output.progress(`${name}: ${done} of ${total} ${modality.samples} to ${which}`),
      });
    return { train: await part("train", data.train), test: await part("test", data.test) };
  };
  const name = "logits" in model.method ? FINETUNED : PRETRAINED;
  const trained = { name, features: () => extract(name, model) };
  if (!baselines) return [trained];
  const random = {
    name: "random encoder",
    seeds,
    async features(seed: number) {
      const fresh: Model = createModel(model.method, model.config as object, { seed });
      try {
        return await extract("random encoder", fresh);
      } finally {
        fresh.dispose();
      }
    },
  };
  const { raw } = modality;
  return [trained, random, { name: raw.name, features: () => extract(raw.name, raw.features) }];
}

/** Scores of one way of measuring, each with the seed it depends on. */
export interface Measured {
  readonly subject: string;
  readonly seeds: readonly number[];
  readonly scores: readonly Pick<Scores, "top1" | "top5">[];
}

/**
 * Measures every subject, once for each seed that its features or the measurement depend on.
 * @param seeded whether the measurement draws anything
 */
export async function measureSubjects(
  subjects: readonly Subject[],
  seeds: readonly number[],
  seeded: boolean,
  measure: (sets: FeatureSets, seed: number, subject: Subject) => Promise<Scores>,
): Promise<{ measured: Measured[]; sets: FeatureSets }> {
  const measured: Measured[] = [];
  let first: FeatureSets | undefined;
  for (const subject of subjects) {
    const own = subject.seeds ?? (seeded ? seeds : []);
    const scores: Scores[] = [];
    let sets: FeatureSets | undefined;
    for (const seed of own.length > 0 ? own : [0]) {
      if (sets === undefined || subject.seeds !== undefined) sets = await subject.features(seed);
      first ??= sets;
      scores.push(await measure(sets, seed, subject));
    }
    measured.push({ subject: subject.name, seeds: own, scores });
  }
  return { measured, sets: first! };
}

/** A run, and the step of the checkpoint that was measured. */
export interface MeasuredRun {
  readonly path: string;
  readonly step: number;
}

export interface ResultOptions {
  readonly output: Output;
  /** Where the numbers are kept. */
  readonly runs: readonly MeasuredRun[];
  readonly kind: string;
  readonly settings: EvaluationInput["settings"];
  readonly data: EvaluationInput["data"];
  /** What the table calls the measurement. */
  readonly title: string;
}

/** Prints a table, emits an event for each number, and keeps the numbers in the runs and their reports. */
export async function reportMeasured(measured: readonly Measured[], options: ResultOptions): Promise<void> {
  const { output, runs, kind, settings, data, title } = options;
  const metrics = (data.classes ?? 0) > 5 ? (["top1", "top5"] as const) : (["top1"] as const);
  const rows = [
    [
      `${data.name}: ${data.train} to train, ${data.test} to test`,
      ...metrics.map((m) => `${title} ${LABELS[m]}`),
    ],
  ];
  for (const { subject, seeds, scores } of measured) {
    const cells: string[] = [];
    for (const metric of metrics) {
      const values = scores.map((score) => score[metric]);
      const trained = subject === PRETRAINED || subject === FINETUNED;
      const record = { kind, subject, metric: LABELS[metric], values, seeds: [...seeds], settings, data };
      output.event({ type: "score", ...record });
      for (const { path, step } of runs) await writeEvaluation(path, trained ? { ...record, step } : record);
      cells.push(formatPercent(values));
    }
    rows.push([subject, ...cells]);
  }
  for (const line of table(rows)) output.result(line);
  for (const { path } of runs) await writeReport(path);
}

const LABELS = { top1: "top-1", top5: "top-5" } as const;

function formatPercent(values: readonly number[]): string {
  const of = spread(values);
  return values.length > 1 ? formatSpread(of) : (100 * of.mean).toFixed(1);
}

/** Tells which samples had to be left out. */
export function listSkipped(output: Output, { train, test }: FeatureSets): void {
  const skipped = [...train.skipped, ...test.skipped];
  if (skipped.length === 0) return;
  output.result(`skipped ${skipped.length}:`);
  for (const { sample, reason } of skipped) output.result(`  ${sample}: ${reason}`);
}
