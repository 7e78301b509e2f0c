/** Follows pretraining to its end and tells what came of it. */
import type { Dataset, ModalityPackage, Model, TrainEvent } from "@unmask/core";
import { EXIT } from "../errors.js";
import { follow } from "../follow.js";
import { duration, type Output } from "../output.js";
import { createPictures, writeSkipped } from "../run.js";

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
  await writeSkipped(out, followed.skipped);
  if (followed.ended === "aborted") {
    output.result(`saved at step ${followed.step}; go on with: unmask resume ${out}`);
    return EXIT.interrupted;
  }
  const { skipped, step, seconds, loss } = followed;
  if (skipped.length > 0) {
    output.result(`skipped ${skipped.length} of ${dataset.length} ${modality.samples}:`);
    for (const { sample, reason } of skipped) output.result(`  ${sample}: ${reason}`);
  }
  const lossText = loss === undefined ? "" : `, loss ${loss.toFixed(4)}`;
  output.result(`${step} steps in ${duration(seconds)}${lossText}`);
  output.result(`run: ${out}`);
  return EXIT.ok;
}
