import { mkdir, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { BadSampleError, createRandom, disposeAll, type ReconstructOptions, startEngine } from "@unmask/core";
import { UsageError } from "../errors.js";
import { openModel } from "../models.js";
import { createOutput, type OutputOptions } from "../output.js";
import { runDataSchema } from "../run.js";
import { type EngineOption, noteEngine } from "./engine-option.js";

export interface ReconstructCommandOptions extends OutputOptions, EngineOption {
  readonly out: string;
  readonly denormalise: NonNullable<ReconstructOptions["denormalise"]>;
  /** Of the masks. */
  readonly seed: number;
  /** Samples of a folder, or of a file that holds many. */
  readonly count: number;
}

export async function reconstruct(
  path: string,
  sources: readonly string[],
  options: ReconstructCommandOptions,
): Promise<number> {
  const { out, denormalise, seed, count } = options;
  const output = createOutput(options);
  noteEngine(output, await startEngine(options.engine));
  const { description, modality, model } = await openModel(path);
  try {
    const { writeReconstruction } = modality;
    if (writeReconstruction === undefined || model.method.reconstruct === undefined)
      throw new UsageError(`${model.method.id} reconstructs nothing that could be looked at`);
    const data = runDataSchema.safeParse(description.run?.config.data.description).data?.options ?? {};
    const folder = sources.length === 1 && (await isFolder(sources[0]!)) ? sources[0] : undefined;
    const dataset = modality.open(folder ?? sources, { method: model.method, config: model.config, data });
    await mkdir(out, { recursive: true });
    const taken = new Set<string>();
    const wanted = folder !== undefined || dataset.length > sources.length ? count : dataset.length;
    for (let i = 0; i < dataset.length && taken.size < wanted; i++) {
      const name = dataset.nameOf(i);
      const sample = await dataset.get(i).catch((error: unknown) => {
        if (!(error instanceof BadSampleError)) throw error;
        output.result(`skipped ${error.message}`);
      });
      if (sample === undefined) continue;
      const reconstruction = model.reconstruct([sample], createRandom(seed).child(i), { denormalise });
      try {
        const files = await writeReconstruction(reconstruction, join(out, freeName(name, taken)));
        output.event({ type: "reconstructed", sample: name, files });
        for (const file of files) output.result(file);
      } finally {
        disposeAll(reconstruction);
      }
    }
    return taken.size > 0 ? 0 : 1;
  } finally {
    model.dispose();
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** The file's name without its extension, numbered where that is taken. */
function freeName(path: string, taken: Set<string>): string {
  const name = basename(path, extname(path));
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}-${i}`;
  taken.add(free);
  return free;
}
