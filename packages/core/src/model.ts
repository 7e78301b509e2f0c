/** A model is a method bound to a config and parameters: what a user holds. */
import type * as tf from "@tensorflow/tfjs";
import { expect, UnmaskError } from "./errors.js";
import type { Batch, EncodeOptions, LossTerms, Method } from "./method.js";
import { createRandom, type Random } from "./random.js";
import { tidy } from "./scope.js";
import { assign, disposeTree, type Params } from "./tree.js";

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
  reconstruct(samples: readonly S[], random: Random): R;
  dispose(): void;
}

type ConfigInput<C> = Partial<C> & { preset?: string };

/**
 * A model with fresh parameters.
 * @param config any keys of the method's config, over those of `preset`; unknown keys are errors
 */
export function createModel<C extends object, S, B extends Batch, P extends Params, R>(
  method: Method<C, S, B, P, R>,
  config: ConfigInput<C> = {},
  { seed = 0, random = createRandom(seed) }: { seed?: number; random?: Random } = {},
): Model<C, S, B, P, R> {
  const complete = resolveConfig(method, config);
  return bindModel(
    method,
    complete,
    tidy(() => method.init(complete, random)),
  );
}

/** A method, a complete config and parameters as one model; takes ownership of `params`. */
export function bindModel<C extends object, S, B extends Batch, P extends Params, R>(
  method: Method<C, S, B, P, R>,
  config: C,
  params: P,
): Model<C, S, B, P, R> {
  return {
    method,
    config,
    params,
    prepare: (samples, random) => tidy(() => method.prepare(config, samples, random)),
    loss: (batch) => tidy(() => method.loss(params, config, batch)),
    encode: (samples, options) => tidy(() => method.encode(params, config, samples, options)),
    reconstruct: (samples, random) => {
      const { reconstruct } = method;
      expect(
        reconstruct !== undefined,
        `reconstruct: ${method.id} reconstructs nothing; see \`unmask methods\``,
      );
      return tidy(() => {
        const batch = method.prepare(config, samples, random);
        return reconstruct(params, config, batch);
      });
    },
    dispose: () => disposeTree(params),
  };
}

/** Config keys over the preset's, over the schema's defaults. Throws an error that names each bad key. */
export function resolveConfig<C extends object>(
  method: Pick<Method<C>, "id" | "schema" | "presets">,
  { preset, ...config }: ConfigInput<C>,
): C {
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

/** Copies parameter values by path into a model. Strict unless told otherwise; see `assign`. */
export function loadParameters(
  model: { readonly params: Params },
  values: ReadonlyMap<string, tf.Tensor>,
  options?: { strict?: boolean },
) {
  return assign(model.params, values, options);
}
