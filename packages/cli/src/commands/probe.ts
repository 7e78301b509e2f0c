import { logisticRegression, probeFeatures } from "@unmask/core";
import type { Measurement } from "../evaluate.js";
import type { Output } from "../output.js";
import { evaluateCommand, type FeatureCommandOptions } from "./knn.js";

export interface ProbeCommandOptions extends FeatureCommandOptions {
  /** A logistic regression run to convergence, or MAE's recipe: batch norm, LARS, cosine schedule. */
  readonly recipe: "logistic" | "mae";
  /** Of the MAE recipe. */
  readonly epochs: number;
}

export function probe(path: string, { recipe, epochs, ...options }: ProbeCommandOptions): Promise<number> {
  return evaluateCommand(path, options, (output) =>
    recipe === "logistic" ? logisticMeasurement(output) : maeMeasurement(output, epochs),
  );
}

const logisticMeasurement = (output: Output): Measurement => ({
  kind: "logistic",
  title: "logistic probe",
  settings: {},
  seeded: false,
  measure: ({ train, test }, _, { name }) =>
    logisticRegression(train, test, {
      onIteration: ({ iteration, loss }) =>
        output.progress(`${name}: iteration ${iteration}, loss ${loss.toFixed(4)}`),
    }),
});

const maeMeasurement = (output: Output, epochs: number): Measurement => ({
  kind: "probe",
  title: "linear probe",
  settings: { epochs },
  seeded: true,
  measure: ({ train, test }, seed, { name }) =>
    probeFeatures(train, test, {
      epochs,
      seeds: [seed],
      onEpoch: ({ epoch, loss }) =>
        output.progress(`${name}: epoch ${epoch} of ${epochs}, loss ${loss.toFixed(4)}`),
    }),
});
