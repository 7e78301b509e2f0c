/** What pretraining does beside training, in its run directory: pictures, and how its data is found again. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { Dataset, ModalityPackage, Model } from "@unmask/core";
import { z } from "zod";

/** A model that a run was begun with; the checksum is SHA-256 of the file of weights. */
const modelRecord = z.object({ path: z.string(), checksum: z.string() });
export type ModelRecord = z.output<typeof modelRecord>;

/** What `unmask` puts into a run's config.json to open its data again. */
export const runDataSchema = z.object({
  modality: z.string(),
  source: z.string(),
  options: z.record(z.string(), z.unknown()),
  classes: z.array(z.string()).optional(),
  /** Epochs between pictures; 0 for none. */
  pictures: z.number().optional(),
  /** Of a fine-tuning run: the data it is scored on, or else the split that it is held out by. */
  test: z.string().optional(),
  split: z.object({ share: z.number(), seed: z.number() }).optional(),
  /** The model that it begins from. */
  start: modelRecord.optional(),
  /** Frozen models that it learns from, by role. */
  teachers: z.record(z.string(), modelRecord).optional(),
});
export type RunData = z.output<typeof runDataSchema>;

const PICTURED = 6;

export interface Pictures {
  /** Draws after an epoch where it is time to. */
  afterEpoch(epoch: number): Promise<void>;
}

/** Draws the first samples as the model reconstructs them, always the same ones under the same masks. */
export async function createPictures(
  model: Model,
  dataset: Dataset<unknown>,
  {
    modality,
    directory,
    every,
    epochs,
  }: {
    readonly modality: ModalityPackage;
    readonly directory: string;
    readonly every: number;
    readonly epochs: number;
  },
): Promise<Pictures> {
  const { createRandom, disposeAll } = await import("@unmask/core");
  const { writeReconstruction } = modality;
  if (every === 0 || writeReconstruction === undefined || model.method.reconstruct === undefined)
    return { afterEpoch: async () => undefined };
  const samples = await dataset.take(PICTURED);
  return {
    async afterEpoch(epoch) {
      if (epoch % every !== 0 && epoch < epochs) return;
      const reconstruction = model.reconstruct(samples, createRandom(0));
      try {
        const name = `epoch-${String(epoch).padStart(5, "0")}`;
        await writeReconstruction(reconstruction, join(directory, "pictures", name));
      } finally {
        disposeAll(reconstruction);
      }
    },
  };
}

/** About ten pictures in a run. */
export const picturesEvery = (epochs: number) => Math.max(1, Math.ceil(epochs / 10));

/** `runs/METHOD-DATA`, with a number where that is taken. */
export function newRunPath(method: string, source: string): string {
  const data = basename(source).replace(/\.[^.]+$/, "") || "data";
  const name = join("runs", `${method}-${data}`);
  for (let i = 1; ; i++) {
    const path = i === 1 ? name : `${name}-${i}`;
    if (!existsSync(path)) return path;
  }
}
