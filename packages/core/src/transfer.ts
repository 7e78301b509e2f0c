/** Models that begin with what another has learned. */
import * as tf from "@tensorflow/tfjs";
import type { Method } from "./method.js";
import type { Keys } from "./modality.js";
import { bindModel, type Model, resolveConfig } from "./model.js";
import type { Random } from "./random.js";
import { tidy } from "./scope.js";
import { assign, flatten, type Params } from "./tree.js";

/**
 * Copies every parameter that both trees have in the same shape.
 * @param path where `from` keeps the parameter of this path of `to`; the same path when not given
 * @returns the paths of `to` that keep their own values
 */
export function copyParameters(
  from: Params,
  to: Params,
  path: (own: string) => string = (own) => own,
): readonly string[] {
  const given = flatten(from);
  const values = new Map<string, tf.Tensor>();
  for (const [name, variable] of flatten(to)) {
    const value = given.get(path(name));
    if (value !== undefined && tf.util.arraysEqual(value.shape, variable.shape)) values.set(name, value);
  }
  return assign(to, values, { strict: false }).missing;
}

/**
 * A model of `method` with the config keys that `model` has too, and with every parameter that it has in the same shape;
 * everything else is as at the start of training.
 * @param settings keys of the new model's config, which go before those of the old
 * @param path where the old model keeps the parameter of this path of the new one; the same path when not given
 */
export function transferModel(
  model: Model,
  method: Method,
  settings: Keys,
  random: Random,
  path?: (own: string) => string,
): Model {
  const source = model.config as Readonly<Record<string, unknown>>;
  const keys = Object.keys(method.schema.parse({}));
  const own = Object.fromEntries(keys.flatMap((key) => (key in source ? [[key, source[key]]] : [])));
  const config = resolveConfig(method, { ...own, ...settings });
  const params = tidy(() => method.init(config, random));
  copyParameters(model.params, params, path);
  return bindModel(method, config, params) as unknown as Model;
}
