/** A model is a method bound to a config and parameters: what a user holds. */
import type * as tf from "@tensorflow/tfjs";
import type { z } from "zod";
import { expect, UnmaskError } from "./errors.js";
import type { Batch, EncodeOptions, LossTerms, Method, ReconstructOptions } from "./method.js";
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

/** The model type of a method. */
export type ModelOf<M extends Method> =
  M extends Method<infer C, infer S, infer B, infer P, infer R> ? Model<C, S, B, P, R> : never;

/**
 * A model with fresh parameters.
 * @param config any keys of the method's config, over those of `preset`; unknown keys are errors
 */
export function createModel<M extends Method>(
  method: M,
  config: ConfigInput<M> = {} as ConfigInput<M>,
  { seed = 0, random = createRandom(seed) }: { seed?: number; random?: Random } = {},
): ModelOf<M> {
  const complete = resolveConfig(method, config);
  return bindModel(
    method,
    complete,
    tidy(() => method.init(complete, random)),
  ) as ModelOf<M>;
}

/** A method, a complete config and parameters as one model; takes ownership of `params`. */
export function bindModel<C extends object, S, B extends Batch, P extends Params, R>(
  method: Method<C, S, B, P, R>,
  config: C,
  params: P,
): Model<C, S, B, P, R> {
  const model: Model<C, S, B, P, R> = {
    method,
    config,
    params,
    prepare: (samples, random) => tidy(() => method.prepare(config, samples, random)),
    loss: (batch) => tidy(() => method.loss(params, config, batch)),
    encode: (samples, options) => tidy(() => method.encode(params, config, samples, options)),
    reconstruct: (samples, random, options) => {
      const { reconstruct } = method;
      expect(
        reconstruct !== undefined,
        `reconstruct: ${method.id} reconstructs nothing; see \`unmask methods\``,
      );
      return tidy(() => {
        const batch = method.prepare(config, samples, random);
        return reconstruct(params, config, batch, options);
      });
    },
    save: async (directory) => (await import("#node")).saveModel(model, directory),
    load: async (path) => (await import("#node")).loadParameters(model, path),
    dispose: () => disposeTree(params),
  };
  return model;
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
