/** Models by path. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { ModalityPackage } from "@unmask/core";
import type { LoadedModel, ModelDescription } from "@unmask/core/node";
import type { MeasuredRun } from "./measure.js";
import { modalityOfMethod } from "./modalities.js";
import type { ModelRecord } from "./run.js";

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

/** What a run's config.json keeps of a model that it was begun with. Of a run the checkpoint itself: the run may go on. */
export async function recordOf({ weights }: ModelDescription): Promise<ModelRecord> {
  return { path: resolve(dirname(weights)), checksum: await checksumOf(weights) };
}

/** SHA-256 of a file. */
export async function checksumOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
