import { resolve } from "node:path";
import { createModel, type Model, pretrain as pretrainModel, resolveConfig, startEngine } from "@unmask/core";
import { readRequest } from "../config/request.js";
import { asUsage } from "../errors.js";
import { catchInterrupt } from "../interrupt.js";
import { loadModality, type ModalityName } from "../modalities.js";
import { createOutput, listed, type OutputOptions } from "../output.js";
import { newRunPath, picturesEvery, type RunData } from "../run.js";
import { describeStart, startFrom } from "../start.js";
import { openTeachers, readTeachers } from "../teachers.js";
import { type EngineOption, noteEngine } from "./engine-option.js";
import { finishRun } from "./finish-run.js";

export interface PretrainOptions extends OutputOptions, EngineOption {
  readonly method?: string;
  readonly preset?: string;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly seed?: number;
  readonly config?: string;
  readonly set?: string[];
  readonly out?: string;
  readonly pictures?: number;
  readonly evaluate?: boolean;
  readonly strict?: boolean;
  /** Folder of the model to begin from. */
  readonly start?: string;
  /** `role=FOLDER`, or FOLDER alone. */
  readonly teacher?: string[];
}

export async function pretrain(
  name: ModalityName,
  source: string,
  options: PretrainOptions,
): Promise<number> {
  const output = createOutput(options);
  const modality = await loadModality(name);
  const { epochs, batchSize, seed, strict } = options;
  const start = options.start === undefined ? undefined : await describeStart(options.start, name);
  const request = await readRequest(modality, { ...options, train: { epochs, batchSize, seed } }, start);
  const { method, preset, given, data } = request;
  asUsage(() => resolveConfig(method, given as object));
  const folders = readTeachers(method, options.teacher ?? []);
  noteEngine(output, await startEngine(options.engine));

  const { teachers, recorded, dispose } = await openTeachers(folders);
  const { config: settled, notes } = await modality.configure({
    ...{ method, source, data, given, strict },
    teachers,
  });
  for (const note of notes) output.note(note);
  const config = asUsage(() => resolveConfig(method, { ...settled, ...given } as object));
  const dataset = modality.open(source, { method, config, data });
  const usual = { batchSize: batchSizeFor(dataset.length), ...(await modality.training?.(dataset)) };
  const train = { ...usual, ...request.train };
  const out = options.out ?? newRunPath(method.id, source);
  const model: Model = asUsage(() => createModel(method, config, { seed: train.seed, teachers }));
  const started = start && (await startFrom(start, modality, model));
  const pictures = options.pictures ?? picturesEvery(train.epochs ?? 100);
  const runData: RunData = {
    modality: name,
    source: resolve(source),
    options: data,
    classes: dataset.classes && [...dataset.classes],
    pictures,
    start: started?.record,
    teachers: recorded,
  };
  output.note(
    `${method.id}${preset ? ` ${preset}` : ""} on ${dataset.length} ${modality.samples} of ${source}, run ${out}`,
  );
  if (started) output.note(`begins from ${options.start}`);
  if (started?.fresh.length) output.note(`of another shape, and so new: ${listed(started.fresh)}`);
  output.event({ type: "run", path: out, method: method.id, preset, config, data: runData });

  const interrupt = catchInterrupt(() => output.note("stopping after this step; once more to leave at once"));
  const events = pretrainModel(model, dataset, {
    ...train,
    out,
    data: runData,
    signal: interrupt.signal,
    strict,
  });
  try {
    return await finishRun(events, {
      output,
      modality,
      model,
      dataset,
      out,
      pictures,
      epochs: train.epochs ?? 100,
      evaluate: options.evaluate,
    });
  } finally {
    interrupt.release();
    model.dispose();
    dispose();
  }
}

/** About sixteen updates an epoch, where the data is too small for as many of the usual size. */
function batchSizeFor(samples: number): number {
  return 2 ** Math.min(7, Math.max(4, Math.round(Math.log2(samples / 16))));
}
