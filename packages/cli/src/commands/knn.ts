import { knn as classify, startEngine } from "@unmask/core";
import { type EvaluationOptions, evaluateFeatures, type Measurement } from "../evaluate.js";
import { findLabelled, type LabelledOptions } from "../labelled-data.js";
import { openModel, runsOf } from "../models.js";
import { createOutput, type Output, type OutputOptions } from "../output.js";
import { type EngineOption, noteEngine } from "./engine-option.js";

export interface FeatureCommandOptions
  extends OutputOptions,
    EngineOption,
    LabelledOptions,
    EvaluationOptions {}

export interface KnnCommandOptions extends FeatureCommandOptions {
  readonly k: number;
  readonly temperature: number;
}

export function knn(path: string, { k, temperature, ...options }: KnnCommandOptions): Promise<number> {
  return evaluateCommand(path, options, () => knnMeasurement({ k, temperature }));
}

export function knnMeasurement(settings: { k: number; temperature: number }): Measurement {
  return {
    kind: "knn",
    title: "kNN",
    settings,
    seeded: false,
    measure: ({ train, test }) => classify(train, test, settings),
  };
}

/** What commands that measure features share. */
export async function evaluateCommand(
  path: string,
  options: FeatureCommandOptions,
  measurement: (output: Output) => Measurement,
): Promise<number> {
  const output = createOutput(options);
  noteEngine(output, await startEngine(options.engine));
  const { description, modality, model } = await openModel(path);
  try {
    const source = findLabelled(options, description);
    const evaluated = { output, modality, model, runs: runsOf(description), source };
    await evaluateFeatures(evaluated, options, measurement(output));
    return 0;
  } finally {
    model.dispose();
  }
}
