/** Follows pretraining to its end and tells what came of it. */
import type { Dataset, ModalityPackage, Model, TrainEvent } from "@unmask/core";
import { readRunConfig, writeReport } from "@unmask/core/node";
import { EXIT } from "../errors.js";
import { evaluateFeatures } from "../evaluate.js";
import { follow, summarise } from "../follow.js";
import { findLabelled } from "../labelled-data.js";
import type { Output } from "../output.js";
import { createPictures } from "../run.js";
import { knnMeasurement } from "./knn.js";

export interface PretrainingRun {
  readonly output: Output;
  readonly modality: ModalityPackage;
  readonly model: Model;
  readonly dataset: Dataset<unknown>;
  /** The run directory. */
  readonly out: string;
  /** Epochs between pictures; 0 for none. */
  readonly pictures: number;
  readonly epochs: number;
  /** Measure kNN accuracy at the end. */
  readonly evaluate?: boolean;
}

export async function finishRun(events: AsyncIterable<TrainEvent>, run: PretrainingRun): Promise<number> {
  const { output, modality, model, dataset, out, epochs } = run;
  const pictures = await createPictures(model, dataset, {
    modality,
    directory: out,
    every: run.pictures,
    epochs: Math.ceil(epochs),
  });
  const followed = await follow(events, { output, samples: modality.samples, ...pictures });
  if (followed.ended === "aborted") {
    output.result(`saved at step ${followed.step}; go on with: unmask resume ${out}`);
    return EXIT.interrupted;
  }
  summarise(followed, { output, samples: modality.samples, of: dataset.length, out });
  if (run.evaluate) await evaluateRun(run, followed.step);
  output.result(`report: ${await writeReport(out)}`);
  return EXIT.ok;
}

/** kNN on a split of the data, where it has labels. */
async function evaluateRun({ output, modality, model, dataset, out }: PretrainingRun, step: number) {
  if (!dataset.labels?.some((label) => label >= 0)) {
    output.note("--evaluate: the data has no labels; use one sub-folder for each class");
    return;
  }
  const run = { path: out, config: await readRunConfig(out) };
  const source = findLabelled({}, { run });
  const evaluated = { output, modality, model, runs: [{ path: out, step }], source };
  await evaluateFeatures(
    evaluated,
    { pool: "mean", seeds: 1, baselines: true },
    knnMeasurement({ k: 20, temperature: 0.07 }),
  );
}
