/**
 * Parameter trees: plain nested objects and arrays of `tf.Variable`. A parameter's identity is its path,
 * keys joined by dots (`blocks.0.attn.qkv.weight`), the same as in the reference PyTorch state dict.
 * A variable with `trainable: false` is a frozen table or a buffer: saved and loaded, never optimised.
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "./errors.js";

// `object` rather than an index signature, so that interfaces such as LinearParams are trees as they are.
export type Params = object;

/** A trainable variable that holds `value`; takes ownership of `value`. */
export function parameter(value: tf.Tensor): tf.Variable {
  const variable = tf.variable(value, true);
  value.dispose();
  return variable;
}

/** A variable that is saved and loaded but not optimised; takes ownership of `value`. */
export function buffer(value: tf.Tensor): tf.Variable {
  const variable = tf.variable(value, false);
  value.dispose();
  return variable;
}

/**
 * The same values in memory of the engine's own: a tensor made from an array keeps that array, `tf.variable` and
 * `assign` share their argument's memory, and steps write parameters in place.
 */
export function copyOf(tensor: tf.Tensor): tf.Tensor {
  return tf.mul(tensor, tf.scalar(1, tensor.dtype));
}

/** All variables of a tree by path, in insertion order. */
export function flatten(params: Params): Map<string, tf.Variable> {
  const flat = new Map<string, tf.Variable>();
  const visit = (node: unknown, path: string) => {
    if (node instanceof tf.Variable) flat.set(path, node);
    else if (node !== null && typeof node === "object")
      for (const [key, child] of Object.entries(node)) visit(child, path === "" ? key : `${path}.${key}`);
  };
  visit(params, "");
  return flat;
}

/** The trainable variables of a tree by path. */
export function trainable(params: Params): Map<string, tf.Variable> {
  return new Map([...flatten(params)].filter(([, variable]) => variable.trainable));
}

export interface AssignReport {
  /** Paths of the tree that no value was given for. */
  readonly missing: readonly string[];
  /** Given names that the tree has no path for. */
  readonly unexpected: readonly string[];
}

/**
 * Copies `values` into the variables of the same path. Borrows `values`.
 * Strict (default): throws when a name is missing or unexpected. A shape that differs always throws.
 */
export function assign(
  params: Params,
  values: ReadonlyMap<string, tf.Tensor>,
  { strict = true }: { strict?: boolean } = {},
): AssignReport {
  const flat = flatten(params);
  const missing = [...flat.keys()].filter((path) => !values.has(path));
  const unexpected = [...values.keys()].filter((path) => !flat.has(path));
  expect(
    !strict || (missing.length === 0 && unexpected.length === 0),
    () =>
      `assign: missing ${list(missing)}; unexpected ${list(unexpected)}; pass { strict: false } to load the rest`,
  );
  for (const [path, value] of values) {
    const variable = flat.get(path);
    if (variable === undefined) continue;
    expect(
      tf.util.arraysEqual(variable.shape, value.shape),
      () =>
        `assign: ${path} has shape [${variable.shape}], the given value [${value.shape}]; check the config`,
    );
  }
  tf.tidy(() => {
    for (const [path, value] of values) {
      const variable = flat.get(path);
      variable?.assign(copyOf(value.cast(variable.dtype))); // counters are integers, files may hold them as floats
    }
  });
  return { missing, unexpected };
}

/** Number of scalars in a tree, `trainable` only or all. */
export function countParameters(params: Params, which: "all" | "trainable" = "trainable"): number {
  return [...(which === "all" ? flatten : trainable)(params).values()].reduce((sum, v) => sum + v.size, 0);
}

/** Disposes every variable of a tree. */
export function disposeTree(params: Params): void {
  for (const variable of flatten(params).values()) variable.dispose();
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(", ");
  return names.length === 0 ? "nothing" : names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
