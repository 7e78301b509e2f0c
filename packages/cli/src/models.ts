/** Models by path. */

import { basename, dirname } from "node:path";
import type { ModalityPackage } from "@unmask/core";
import type { LoadedModel, ModelDescription } from "@unmask/core/node";
import type { MeasuredRun } from "./measure.js";
import { modalityOfMethod } from "./modalities.js";

export interface OpenedModel {
  readonly path: string;
  readonly description: ModelDescription;
  readonly modality: ModalityPackage;
  /** Disposed by whoever opened it. */
  readonly model: LoadedModel;
}

/** The run a model comes from, if any, and how many updates it has seen there. */
export function runsOf({ run, weights }: ModelDescription): MeasuredRun[] {
  return run === undefined ? [] : [{ path: run.path, step: Number(basename(dirname(weights))) }];
}

/** Opens a run, a checkpoint or a model folder; an engine must be running. */
export async function openModel(path: string): Promise<OpenedModel> {
  const { describeModel, loadModel } = await import("@unmask/core/node");
  const description = await describeModel(path);
  const { modality } = await modalityOfMethod(description.method, description.modality);
  return { path, description, modality, model: await loadModel(description, modality.methods) };
}
