/** A model is a method bound to a config and parameters: what a user holds. */
import type * as tf from "@tensorflow/tfjs";
import type { z } from "zod";
import { expect, UnmaskError } from "./errors.js";
import type { Batch, EncodeOptions, LossTerms, Method, ReconstructOptions, Teachers } from "./method.js";
import { createRandom, type Random } from "./random.js";
import { tidy } from "./scope.js";
import { disposeTree, type Params } from "./tree.js";

export interface Model<
  C extends object = object,
  S = unknown,
  B extends Batch = Batch,
  P extends Params = Params,
  R = unknown,
> {
  readonly method: Method<C, S, B, P, R>;
  readonly config: C;
  readonly params: P;
  /** Frozen models that it learns from; needed to train, not to encode. */
  readonly teachers: Teachers;
  /** Samples into a batch; the caller disposes it with `disposeAll`. */
  prepare(samples: readonly S[], random: Random): B;
  /** Loss terms of a batch, as tensors the caller disposes. */
  loss(batch: B): LossTerms;
  /** Features of samples, [B, D] (or [B, N, D] with `pool: "tokens"`); the caller disposes them. */
  encode(samples: readonly S[], options?: EncodeOptions): tf.Tensor;
  /** Masks samples and reconstructs them; the caller disposes the result. */
  reconstruct(samples: readonly S[], random: Random, options?: ReconstructOptions): R;
  /** Writes the model as a folder, whole or not at all; in Node. `loadModel` of `@unmask/core/node` reads it back. */
  save(directory: string): Promise<void>;
  /** Reads parameters of the same method and shapes from a model, run or checkpoint folder; in Node. */
  load(path: string): Promise<void>;
  dispose(): void;
}

/** What a user may give as a config: any keys of the schema, in its input form, and the name of a preset. */
export type ConfigInput<M extends Method> = Partial<z.input<M["schema"]>> & {
  readonly preset?: keyof M["presets"] & string;
};

// biome-ignore lint/suspicious/noExplicitAny: the config is taken from the schema
type Any = any;

/** The model type of a method: its config is what the schema gives, its parameters are what `init` makes. */
export type ModelOf<M extends Method> =
  M extends Method<Any, infer S, infer B, Any, infer R>
    ? Model<z.output<M["schema"]> & object, S, B, ReturnType<M["init"]>, R>
    : never;

export interface CreateOptions {
  readonly seed?: number;
  readonly random?: Random;
  /** The frozen models that the method learns from, by the roles it names. Borrowed. */
  readonly teachers?: Teachers;
}

/**
 * A model with fresh parameters.
 * @param config any keys of the method's config, over those of `preset`; unknown keys are errors
 */
export function createModel<M extends Method>(
  method: M,
  config: ConfigInput<M> = {} as ConfigInput<M>,
  { seed = 0, random = createRandom(seed), teachers = {} }: CreateOptions = {},
): ModelOf<M> {
  const complete = resolveConfig(method, config);
  return bindModel(
    method,
    complete,
    tidy(() => method.init(complete, random)),
    teachers,
  ) as ModelOf<M>;
}

/** A method, a complete config and parameters as one model; takes ownership of `params`, borrows `teachers`. */
export function bindModel<C extends object, S, B extends Batch, P extends Params, R>(
  method: Method<NoInfer<C>, S, B, NoInfer<P>, R>, // its functions may take less than its config and parameters
  config: C,
  params: P,
  teachers: Teachers = {},
): Model<C, S, B, P, R> {
  const prepare = (samples: readonly S[], random: Random) => {
    expectTeachers(method, teachers);
    return method.prepare(config, samples, random, teachers);
  };
  const model: Model<C, S, B, P, R> = {
    method,
    config,
    params,
    teachers,
    prepare: (samples, random) => tidy(() => prepare(samples, random)),
    loss: (batch) => tidy(() => method.loss(params, config, batch)),
    encode: (samples, options) => tidy(() => method.encode(params, config, samples, options)),
    reconstruct: (samples, random, options) => {
      const { reconstruct } = method;
      expect(
        reconstruct !== undefined,
        `reconstruct: ${method.id} reconstructs nothing; see \`unmask methods\``,
      );
      // What is hidden and shown needs no teacher.
      return tidy(() =>
        reconstruct(params, config, method.prepare(config, samples, random, teachers), options),
      );
    },
    save: async (directory) => (await import("#node")).saveModel(model, directory),
    load: async (path) => (await import("#node")).loadParameters(model, path),
    dispose: () => disposeTree(params),
  };
  return model;
}

/** @throws UnmaskError unless just the teachers that the method names are there */
export function expectTeachers({ id, teachers: roles = {} }: Method, teachers: Teachers): void {
  for (const [role, what] of Object.entries(roles))
    expect(
      teachers[role] !== undefined,
      `${id}: learns from a ${role} teacher and none is given; give ${what} as createModel's teachers.${role} or by --teacher ${role}=FOLDER`,
    );
  for (const role of Object.keys(teachers))
    expect(
      role in roles,
      `${id}: has no ${role} teacher; ${Object.keys(roles).length === 0 ? "it learns from none" : `its teachers are ${Object.keys(roles).join(", ")}`}`,
    );
}

/** Config keys over the preset's, over the schema's defaults. Throws an error that names each bad key. */
export function resolveConfig<M extends Method>(
  method: M,
  { preset, ...config }: ConfigInput<M>,
): z.output<M["schema"]> {
  const base = preset === undefined ? {} : method.presets[preset];
  expect(
    base !== undefined,
    () => `${method.id}: no preset "${preset}"; use one of ${Object.keys(method.presets).join(", ")}`,
  );
  const parsed = method.schema.safeParse({ ...base, ...config });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join(".") || "config"}: ${issue.message}`,
  );
  throw new UnmaskError(`${method.id}: ${problems.join("; ")}`);
}
