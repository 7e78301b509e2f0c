/** A model that a pretraining run begins from: its shape, its data's settings and its parameters. */
import { copyParameters, type ModalityPackage, type Model } from "@unmask/core";
import { describeModel, loadModel, type ModelDescription } from "@unmask/core/node";
import { UsageError } from "./errors.js";
import type { ModalityName } from "./modalities.js";
import { recordOf } from "./models.js";
import type { ModelRecord } from "./run.js";

/** @throws UsageError where `path` holds a model of another modality */
export async function describeStart(path: string, modality: ModalityName): Promise<ModelDescription> {
  const description = await describeModel(path);
  if (description.modality !== undefined && description.modality !== modality)
    throw new UsageError(
      `--start ${path} is a model of ${description.modality}: unmask pretrain ${description.modality}`,
    );
  return description;
}

export interface Started {
  /** Paths of the parameters that are not as in the model it starts from: its config made them of another shape. */
  readonly fresh: readonly string[];
  /** What the run's config.json keeps. */
  readonly record: ModelRecord;
}

/** Copies the parameters of the model described into one of the same method; an engine must be running. */
export async function startFrom(
  start: ModelDescription,
  { methods }: ModalityPackage,
  to: Model,
): Promise<Started> {
  const model = await loadModel(start, methods);
  try {
    return { fresh: copyParameters(model.params, to.params), record: await recordOf(start) };
  } finally {
    model.dispose();
  }
}
