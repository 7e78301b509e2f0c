import { join, resolve } from "node:path";
import {
  type Classifier,
  createModel,
  createRandom,
  finetune as finetuneModel,
  type Method,
  type ModalityPackage,
  type Model,
  type Scores,
  startEngine,
} from "@unmask/core";
import { checkedTrain, readSections } from "../config/request.js";
import { readConfigFile } from "../config/sections.js";
import { asUsage, EXIT, UsageError } from "../errors.js";
import { follow, summarise } from "../follow.js";
import { catchInterrupt } from "../interrupt.js";
import { countClasses, findLabelled, type LabelledOptions, openLabelled } from "../labelled-data.js";
import { FINETUNED, reportMeasured } from "../measure.js";
import { openModel, runsOf } from "../models.js";
import { createOutput, type OutputOptions } from "../output.js";
import { newRunPath, type RunData } from "../run.js";
import { type EngineOption, noteEngine } from "./engine-option.js";

export interface FinetuneCommandOptions extends OutputOptions, EngineOption, LabelledOptions {
  readonly epochs: number;
  readonly batchSize?: number;
  readonly seeds: number;
  readonly baselines?: boolean;
  readonly config?: string;
  readonly set?: string[];
  readonly out?: string;
  readonly strict?: boolean;
}

const SCRATCH = "from scratch";

export async function finetune(path: string, options: FinetuneCommandOptions): Promise<number> {
  const output = createOutput(options);
  const { epochs, batchSize, baselines, strict } = options;
  noteEngine(output, await startEngine(options.engine));
  const { description, modality, model } = await openModel(path);
  const interrupt = catchInterrupt(() => output.note("stopping after this step; once more to leave at once"));
  try {
    const { createClassifier } = modality;
    if (createClassifier === undefined) throw new UsageError(`@unmask/${modality.name} has no classifier`);
    const file = await readConfigFile(options.config);
    const settings = readSections(modality, classifierOf(modality, model), file.sections, {
      ...options,
      train: { epochs, batchSize },
    });
    const training = checkedTrain(settings.train);
    const found = findLabelled(options, description);
    const source = { ...found, data: { ...found.data, ...settings.data } };
    const data = openLabelled(modality, source, model);
    const { train, test } = data;
    const classes = countClasses(data);
    const out = options.out ?? newRunPath("finetune", path);
    const runData: RunData = {
      modality: modality.name,
      source: resolve(source.train),
      options: source.data,
      classes: train.classes && [...train.classes],
      test: source.test && resolve(source.test),
      split: source.split,
    };

    const one = async (subject: string, seed: number) => {
      const fresh = subject === SCRATCH;
      const encoder: Model = fresh ? createModel(model.method, model.config, { seed }) : model;
      const random = createRandom(seed).child("classifier");
      const classifier = asUsage(() => createClassifier(encoder, { ...settings.model, classes }, random));
      if (fresh) encoder.dispose();
      try {
        const own = openLabelled(modality, source, classifier);
        const directory = join(out, options.seeds > 1 ? `seed-${seed}` : "", fresh ? "scratch" : "");
        output.note(`${subject}, seed ${seed}: ${classifier.method.id} in ${directory}`);
        output.event({
          type: "run",
          path: directory,
          subject,
          seed,
          config: classifier.config,
          data: runData,
        });
        const events = finetuneModel(classifier, own.train, own.test, {
          ...training,
          seed,
          out: directory,
          data: runData,
          evaluateEvery: Math.max(1, Math.ceil((training.epochs ?? epochs) / 20)),
          signal: interrupt.signal,
          strict,
        });
        return { directory, followed: await follow(events, { output, samples: modality.samples }) };
      } finally {
        classifier.dispose();
      }
    };

    const seeds = Array.from({ length: options.seeds }, (_, i) => (options.seed ?? 0) + i);
    const measured = [];
    const runs = runsOf(description);
    for (const subject of baselines ? [FINETUNED, SCRATCH] : [FINETUNED]) {
      const scores: Scores[] = [];
      for (const seed of seeds) {
        const { directory, followed } = await one(subject, seed);
        if (followed.ended === "aborted") {
          output.result(`saved at step ${followed.step}; go on with: unmask resume ${directory}`);
          return EXIT.interrupted;
        }
        summarise(followed, { output, samples: modality.samples, of: train.length, out: directory });
        scores.push(followed.scores!);
        if (subject === FINETUNED) runs.push({ path: directory, step: followed.step });
      }
      measured.push({ subject, seeds, scores });
    }
    await reportMeasured(measured, {
      output,
      runs,
      kind: "finetune",
      title: "fine-tuning",
      settings: { epochs: training.epochs ?? epochs },
      data: { name: source.name, train: train.length, test: test.length, classes },
    });
    return EXIT.ok;
  } finally {
    interrupt.release();
    model.dispose();
  }
}

function classifierOf(modality: ModalityPackage, model: Model): Method {
  const found =
    modality.classifierFor?.(model) ??
    modality.methods.find((method) => (method as Partial<Classifier>).logits !== undefined);
  if (found === undefined) throw new UsageError(`@unmask/${modality.name} has no classifier`);
  return found;
}
