/** Labelled data to train on and to measure on. */
import { basename } from "node:path";
import {
  createRandom,
  type Dataset,
  type Method,
  type ModalityPackage,
  stratifiedSplit,
  subset,
} from "@unmask/core";
import type { ModelDescription } from "@unmask/core/node";
import { UsageError } from "./errors.js";
import { type RunData, runDataSchema } from "./run.js";

export interface LabelledOptions {
  readonly train?: string;
  readonly test?: string;
  /** Share that is trained on; the rest is measured. */
  readonly split?: number;
  readonly seed?: number;
}

/** Where labelled data lies. */
export interface LabelledSource {
  readonly train: string;
  readonly test?: string;
  readonly split?: RunData["split"];
  /** Options of the reader. */
  readonly data: Readonly<Record<string, unknown>>;
  /** What tables call it. */
  readonly name: string;
}

export interface LabelledData {
  readonly train: Dataset<unknown>;
  readonly test: Dataset<unknown>;
}

const DEFAULT_SHARE = 0.8;

/** The data of the command line, or else what the run was trained on. */
export function findLabelled(
  { train, test, split, seed = 0 }: LabelledOptions,
  { run }: Pick<ModelDescription, "run">,
): LabelledSource {
  if (test !== undefined && split !== undefined)
    throw new UsageError("--split divides the training data; leave it out where --test is given");
  const described = runDataSchema.safeParse(run?.config.data.description).data;
  if (train === undefined && test === undefined && split === undefined && described?.split !== undefined)
    return labelledSource(described);
  const source = train ?? described?.source;
  if (source === undefined)
    throw new UsageError("the model does not say what it was trained on; give labelled data as --train");
  const held = test ?? (train === undefined && split === undefined ? described?.test : undefined);
  const options = described?.options ?? {};
  if (held !== undefined) return labelledSource({ source, test: held, options });
  return labelledSource({ source, split: { share: split ?? DEFAULT_SHARE, seed }, options });
}

/** The labelled data that a run records. */
export function labelledSource({
  source,
  test,
  split = { share: DEFAULT_SHARE, seed: 0 },
  options,
}: Pick<RunData, "source" | "test" | "split" | "options">): LabelledSource {
  const label = basename(source);
  if (test !== undefined) return { train: source, test, data: options, name: `${label}, ${basename(test)}` };
  const percent = Math.round(100 * split.share);
  return { train: source, split, data: options, name: `${label}, split ${percent}:${100 - percent}` };
}

/** Opens both, in the form that a model takes. @throws UsageError where nothing is labelled */
export function openLabelled(
  modality: ModalityPackage,
  { train: source, test, split, data }: LabelledSource,
  { method, config }: { readonly method: Method; readonly config: object },
): LabelledData {
  const whole = modality.open(source, { method, config, data });
  if (!whole.labels?.some((label) => label >= 0))
    throw new UsageError(`${source} has no labels; use one sub-folder for each class`);
  if (split === undefined) {
    const { labels: _, ...unlabelled } = data;
    const form = { method, config, data: unlabelled, classes: whole.classes };
    return { train: whole, test: modality.open(test!, form) };
  }
  const random = createRandom(split.seed).child("split");
  const parts = stratifiedSplit(whole.labels, 1 - split.share, random);
  return { train: subset(whole, parts.train), test: subset(whole, parts.held) };
}

/** How many classes there are: those that have names, or as many as the labels need. */
export function countClasses({ train, test }: LabelledData): number {
  return (
    train.classes?.length ?? [...train.labels!, ...test.labels!].reduce((a, b) => Math.max(a, b), -1) + 1
  );
}
