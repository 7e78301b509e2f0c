/** What a run directory records, and the side of it that touches files, which only Node has. */
import * as tf from "@tensorflow/tfjs";
import { z } from "zod";
import { FormatError } from "../errors.js";
import type { DType, RawTensor } from "../io/raw-tensor.js";
import type { OptimizerState } from "../optim/optimizer.js";
import { flatten, type Params } from "../tree.js";
import { trainSchema } from "./options.js";

const runConfigSchema = z.object({
  format: z.literal(1),
  /** What is trained for: "pretrain", "finetune". */
  kind: z.string(),
  /** The method's id. */
  method: z.string(),
  /** The method's config, complete. */
  config: z.record(z.string(), z.unknown()),
  data: z.object({
    name: z.string(),
    length: z.int().positive(),
    /** Of the samples' names, so that a resumed run is known to see the same ones. */
    checksum: z.string(),
    /** What the caller needs to open the data again. */
    description: z.unknown().optional(),
  }),
  training: trainSchema,
  engine: z.string(),
  versions: z.record(z.string(), z.string()),
});

/** `config.json`. */
export type RunConfig = z.output<typeof runConfigSchema>;

const skippedSchema = z.object({ index: z.int().nonnegative(), sample: z.string(), reason: z.string() });

const progressSchema = z.object({
  /** Updates made. */
  step: z.int().nonnegative(),
  /** State of the generator that every draw is derived from. */
  random: z.array(z.int()).length(6),
  optimizerStep: z.int().nonnegative(),
  /** Samples that could not be read, in the order in which they were met. */
  skipped: z.array(skippedSchema),
  /** Sums over the steps of the epoch that is under way. */
  epoch: z.object({ steps: z.int().nonnegative(), sums: z.record(z.string(), z.number()) }),
  seconds: z.number().nonnegative(),
});

/** Where training stands, beside parameters and optimizer slots. */
export type Progress = z.output<typeof progressSchema>;

const stateSchema = progressSchema.extend({
  /** Bytes of the logs at this step: what comes after is cut off when the run is resumed. */
  logs: z.record(z.string(), z.int().nonnegative()),
});

/** `state.json` of a checkpoint. */
export type CheckpointState = z.output<typeof stateSchema>;

/** A tensor that is read off the engine when its turn comes to be written. */
export interface LazyRawTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  load(): Promise<Uint8Array>;
}

export interface Checkpoint {
  readonly model: ReadonlyMap<string, LazyRawTensor>;
  readonly optimizer: ReadonlyMap<string, LazyRawTensor>;
  readonly progress: Progress;
}

export interface LoadedCheckpoint {
  readonly path: string;
  readonly model: ReadonlyMap<string, RawTensor>;
  readonly optimizer: ReadonlyMap<string, RawTensor>;
  readonly progress: Progress;
}

/** One line of `metrics.jsonl`; what depends on the clock comes last. */
export interface MetricsLine {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly terms: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly gradNorm: number;
  readonly samplesPerSecond: number;
  /** Unix time in seconds. */
  readonly time: number;
}

/** An open run directory. */
export interface RunStore {
  log(line: MetricsLine): Promise<void>;
  /** Writes a checkpoint, whole or not at all, and drops the oldest; one that is there already stays. Returns its path. */
  save(checkpoint: Checkpoint): Promise<string>;
  close(): Promise<void>;
}

/** What `#node` provides: files in Node, an error that says so elsewhere. */
export interface RunFiles {
  /** Begins a run. @throws UnmaskError when there is one already. */
  createRun(path: string, config: RunConfig): Promise<RunStore>;
  readRunConfig(path: string): Promise<RunConfig>;
  /** The newest complete checkpoint; cuts the logs back to its step. */
  openRun(path: string, config: RunConfig): Promise<{ store: RunStore; checkpoint: LoadedCheckpoint }>;
  /** Versions of Node and of this package. */
  packageVersions(): Promise<Record<string, string>>;
}

export async function runFiles(): Promise<RunFiles> {
  return import("#node");
}

export const parseRunConfig = (json: string, file: string): RunConfig => parse(runConfigSchema, json, file);

export const parseCheckpointState = (json: string, file: string): CheckpointState =>
  parse(stateSchema, json, file);

function parse<T>(schema: z.ZodType<T>, json: string, file: string): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new FormatError(`${file}: not JSON; the file is damaged`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new FormatError(`${file}: ${issue?.path.join(".")}: ${issue?.message}; the file is damaged`);
}

/** Parameters, slots and progress as they are to be written; read while nothing changes them. */
export function checkpointOf(params: Params, optimizer: OptimizerState, progress: Progress): Checkpoint {
  return {
    model: lazily(flatten(params)),
    optimizer: lazily(optimizer.tensors),
    progress: { ...progress, optimizerStep: optimizer.step },
  };
}

/** Tensors that leave the engine one by one, as they are written. */
export function lazily(tensors: ReadonlyMap<string, tf.Tensor>): Map<string, LazyRawTensor> {
  const lazy = ([name, tensor]: [string, tf.Tensor]): [string, LazyRawTensor] => [
    name,
    {
      dtype: tensor.dtype === "int32" ? "I32" : "F32",
      shape: tensor.shape,
      async load() {
        const data = await tensor.data();
        return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      },
    },
  ];
  return new Map([...tensors].map(lazy));
}

/** Versions that a run depends on. */
export async function versionsInUse(
  files: Pick<RunFiles, "packageVersions">,
): Promise<Record<string, string>> {
  return { ...(await files.packageVersions()), "@tensorflow/tfjs": tf.version.tfjs };
}
