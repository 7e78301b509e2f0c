/** A model that a pretraining run begins from: its shape, its data's settings and its parameters. */
import { dirname, resolve } from "node:path";
import { copyParameters, type Model } from "@unmask/core";
import { describeModel, type ModelDescription } from "@unmask/core/node";
import { UsageError } from "./errors.js";
import type { ModalityName } from "./modalities.js";
import { openModel } from "./models.js";
import type { ModelRecord } from "./run.js";
import { checksumOf } from "./teachers.js";

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
  /** What the run's config.json keeps. Of a run the checkpoint itself: the run may go on. */
  readonly record: ModelRecord;
}

/** Copies the parameters of the model in `path` into one of the same method; an engine must be running. */
export async function startFrom(path: string, to: Model): Promise<Started> {
  const { model, description } = await openModel(path);
  try {
    const fresh = copyParameters(model.params, to.params);
    const { weights } = description;
    return { fresh, record: { path: resolve(dirname(weights)), checksum: await checksumOf(weights) } };
  } finally {
    model.dispose();
  }
}
