/**
 * A method is a paper: plain functions over parameters, a config and a batch. There is no base class; a method
 * `satisfies Method` and is bound to a config and parameters by `createModel`.
 */
import type * as tf from "@tensorflow/tfjs";
import type { z } from "zod";
import type { Model } from "./model.js";
import type { Random } from "./random.js";
import type { Dataset } from "./train/dataset.js";
import type { Params } from "./tree.js";

export type Modality = "image" | "video" | "audio" | "pointcloud" | "graph" | "multimodal" | "vector";

/** Scalars by name; `total` is what is minimised. */
export type LossTerms = { readonly total: tf.Scalar } & { readonly [term: string]: tf.Scalar };

/** Tensors and typed arrays of one step, at any depth of plain objects, and every random draw the loss uses. */
export type Batch = object;

/**
 * What an encoder returns for each sample: the class token, the mean of the tokens, both side by side, or all tokens.
 * A method without a class token refuses the first and third by name.
 */
export type Pool = "cls" | "mean" | "cls+mean" | "tokens";

// biome-ignore lint/suspicious/noExplicitAny: a method of types unknown here; each method is checked against its own
type Any = any;

export interface EncodeOptions {
  readonly pool?: Pool;
}

export interface ReconstructOptions {
  /**
   * How predictions of normalised targets become values again: by statistics estimated from what is visible, or by
   * those of the hidden truth, which shows more than the model knows. Default "visible".
   */
  readonly denormalise?: "visible" | "truth";
}

/** Frozen models that a method learns from, by the roles it names. Borrowed: never trained, never disposed. */
export type Teachers = Readonly<Record<string, Model>>;

/** How far training is, once an update is done. */
export interface UpdateProgress {
  /** Updates done, this one among them. */
  readonly step: number;
  /** Updates of the whole run. */
  readonly steps: number;
  readonly stepsPerEpoch: number;
}

/** What an order of samples may depend on beside the method's config and the data. */
export interface Arrangement {
  /** Samples of one update: `order[0..batchSize)` are the first batch. */
  readonly batchSize: number;
  readonly random: Random;
  readonly teachers: Teachers;
}

export interface Method<
  C extends object = Any,
  S = Any,
  B extends Batch = Any,
  P extends Params = Any,
  R = Any,
> {
  /** Name in commands and files, kebab-case: `mae`. */
  readonly id: string;
  readonly modality: Modality;
  /** One line for `unmask methods`. */
  readonly summary: string;
  /** Where it was published. */
  readonly paper: string;
  /** Validates a config and fills in defaults. */
  readonly schema: z.ZodType<C>;
  /** The paper's sizes, by name. */
  readonly presets: Readonly<Record<string, Partial<C>>>;
  /** Teachers that must be given, by role, each with what may take it. */
  readonly teachers?: Readonly<Record<string, string>>;
  /** Fresh parameters; the caller owns them. */
  init(config: C, random: Random): P;
  /** Samples into a batch, with all random draws and what the teachers say of the samples; the caller disposes it. */
  prepare(config: C, samples: readonly S[], random: Random, teachers: Teachers): B;
  /**
   * The order in which every epoch sees the samples, a permutation of their indices, where it is not a new random one
   * each time. Computed before the first step and again when a run is resumed, from its arguments alone.
   */
  arrange?(config: C, dataset: Dataset<S>, arrangement: Arrangement): Promise<Int32Array>;
  /**
   * Brings fresh parameters to where training starts, where that depends on the data. Called once before the first update
   * of a new run, never of a resumed one; disposes what it makes on its way.
   */
  begin?(params: P, config: C, dataset: Dataset<S>, random: Random): Promise<void>;
  /** Pure and differentiable; what it leaves behind in buffers it says by `updateBuffer`. */
  loss(params: P, config: C, batch: B): LossTerms;
  /** Moves what is not trained by gradient, once after each update: averaged teachers above all. */
  afterUpdate?(params: P, config: C, progress: UpdateProgress): void;
  /** Features of whole samples, nothing masked: [B, D], or [B, N, D] when `pool` is "tokens". */
  encode(params: P, config: C, samples: readonly S[], options?: EncodeOptions): tf.Tensor;
  /** What a person looks at. Absent where a method reconstructs nothing. */
  reconstruct?(params: P, config: C, batch: B, options?: ReconstructOptions): R;
}

/** A method that tells classes apart: what `finetune` trains. */
export interface Classifier<C extends object = Any, S = Any, B extends Batch = Any, P extends Params = Any>
  extends Method<C, S, B, P> {
  /** [B, classes] */
  logits(params: P, config: C, samples: readonly S[]): tf.Tensor2D;
}
