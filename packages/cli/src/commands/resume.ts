import { type RunConfig, resume as resumeRun, startEngine } from "@unmask/core";
import { readRunConfig } from "@unmask/core/node";
import { UsageError } from "../errors.js";
import { catchInterrupt } from "../interrupt.js";
import { modalityOfMethod } from "../modalities.js";
import { createOutput, type OutputOptions } from "../output.js";
import { runDataSchema } from "../run.js";
import { type EngineOption, noteEngine } from "./engine-option.js";
import { finishRun } from "./finish-run.js";

export interface ResumeOptions extends OutputOptions, EngineOption {
  readonly data?: string;
  readonly strict?: boolean;
}

export async function resume(out: string, options: ResumeOptions): Promise<number> {
  const output = createOutput(options);
  const run = await readRunConfig(out);
  const data = dataOf(run, out);
  const { modality } = await modalityOfMethod(run.method, data.modality);
  noteEngine(output, await startEngine(options.engine ?? (run.engine as EngineOption["engine"])));
  const source = options.data ?? data.source;
  const dataset = modality.open(source, { config: run.config, data: data.options, classes: data.classes });

  const interrupt = catchInterrupt(() => output.note("stopping after this step; once more to leave at once"));
  const { model, events } = await resumeRun(out, {
    methods: modality.methods,
    dataset,
    signal: interrupt.signal,
    strict: options.strict,
  });
  output.note(`${run.method} on ${dataset.length} ${modality.samples} of ${source}, run ${out}`);
  try {
    const { epochs } = run.training;
    return await finishRun(events, {
      output,
      modality,
      model,
      dataset,
      out,
      pictures: data.pictures ?? 0,
      epochs,
    });
  } finally {
    interrupt.release();
    model.dispose();
  }
}

function dataOf(run: RunConfig, out: string) {
  const parsed = runDataSchema.safeParse(run.data.description);
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `${out} was not begun by this command, and its config.json does not say how to open its data; resume it in the script that began it`,
  );
}
