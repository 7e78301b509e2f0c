import type { Method, ModalityPackage } from "@unmask/core";
import {
  createModel,
  type Model,
  type RunConfig,
  resumeFinetune,
  resume as resumePretraining,
  startEngine,
} from "@unmask/core";
import { readRunConfig } from "@unmask/core/node";
import { EXIT, UsageError } from "../errors.js";
import { follow, summarise } from "../follow.js";
import { catchInterrupt, type Interrupt } from "../interrupt.js";
import { countClasses, labelledSource, openLabelled } from "../labelled-data.js";
import { FINETUNED, reportMeasured } from "../measure.js";
import { modalityOfMethod } from "../modalities.js";
import { createOutput, type Output, type OutputOptions } from "../output.js";
import { type RunData, runDataSchema } from "../run.js";
import { reopenTeachers } from "../teachers.js";
import { type EngineOption, noteEngine } from "./engine-option.js";
import { finishRun } from "./finish-run.js";

export interface ResumeOptions extends OutputOptions, EngineOption {
  readonly data?: string;
  /** `role=FOLDER`, or FOLDER alone: where a teacher is now. */
  readonly teacher?: string[];
  readonly strict?: boolean;
}

/** A run that is to go on. */
interface Resumed {
  readonly out: string;
  readonly run: RunConfig;
  readonly data: RunData;
  readonly modality: ModalityPackage;
  readonly method: Method;
  readonly output: Output;
  readonly interrupt: Interrupt;
  readonly strict?: boolean;
  readonly teacher?: string[];
}

export async function resume(out: string, options: ResumeOptions): Promise<number> {
  const output = createOutput(options);
  const run = await readRunConfig(out);
  const recorded = dataOf(run, out);
  const data = { ...recorded, source: options.data ?? recorded.source };
  const { modality, method } = await modalityOfMethod(run.method, data.modality);
  noteEngine(output, await startEngine(options.engine ?? (run.engine as EngineOption["engine"])));
  const interrupt = catchInterrupt(() => output.note("stopping after this step; once more to leave at once"));
  try {
    const { strict, teacher } = options;
    const resumed = { out, run, data, modality, method, output, interrupt, strict, teacher };
    return await (run.kind === "finetune" ? resumeClassifier(resumed) : resumeEncoder(resumed));
  } finally {
    interrupt.release();
  }
}

async function resumeEncoder({
  out,
  run,
  data,
  modality,
  method,
  output,
  interrupt,
  strict,
  teacher,
}: Resumed): Promise<number> {
  const { source, options, classes, pictures = 0 } = data;
  const { teachers, dispose } = await reopenTeachers(method, data.teachers, teacher);
  const dataset = modality.open(source, { method, config: run.config, data: options, classes });
  const { signal } = interrupt;
  const { model, events } = await resumePretraining(out, {
    methods: modality.methods,
    teachers,
    dataset,
    signal,
    strict,
  });
  output.note(`${run.method} on ${dataset.length} ${modality.samples} of ${source}, run ${out}`);
  try {
    const { epochs } = run.training;
    return await finishRun(events, { output, modality, model, dataset, out, pictures, epochs });
  } finally {
    model.dispose();
    dispose();
  }
}

async function resumeClassifier({
  out,
  run,
  data,
  modality,
  method,
  output,
  interrupt,
  strict,
}: Resumed): Promise<number> {
  const source = labelledSource(data);
  const labelled = openLabelled(modality, source, { method, config: run.config });
  const { train, test } = labelled;
  const model: Model = createModel(method, run.config);
  try {
    const { samples } = modality;
    const { epochs } = run.training;
    const evaluateEvery = Math.max(1, Math.ceil(epochs / 20));
    const { signal } = interrupt;
    const events = resumeFinetune(model, train, test, out, { evaluateEvery, signal, strict });
    const followed = await follow(events, { output, samples });
    if (followed.ended === "aborted") {
      output.result(`saved at step ${followed.step}; go on with: unmask resume ${out}`);
      return EXIT.interrupted;
    }
    summarise(followed, { output, samples, of: train.length, out });
    if (followed.scores === undefined) return EXIT.ok; // it was complete already
    const classes = countClasses(labelled);
    await reportMeasured([{ subject: FINETUNED, seeds: [run.training.seed], scores: [followed.scores] }], {
      output,
      runs: [{ path: out, step: followed.step }],
      kind: "finetune",
      title: "fine-tuning",
      settings: { epochs },
      data: { name: source.name, train: train.length, test: test.length, classes },
    });
    return EXIT.ok;
  } finally {
    model.dispose();
  }
}

function dataOf(run: RunConfig, out: string): RunData {
  const parsed = runDataSchema.safeParse(run.data.description);
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `${out} was not begun by this command, and its config.json does not say how to open its data; resume it in the script that began it`,
  );
}
