/** Parameter trees to and from the tensors that files hold. */
import * as tf from "@tensorflow/tfjs";
import { type RawTensor, rawTensor, toFloat32 } from "./io/raw-tensor.js";
import { tidy } from "./scope.js";
import { type AssignReport, assign, flatten, type Params } from "./tree.js";

/** Every variable of a tree as float32, by path, copied off the engine. */
export async function readParameters(params: Params): Promise<Map<string, RawTensor>> {
  const raw = new Map<string, RawTensor>();
  for (const [path, variable] of flatten(params)) raw.set(path, await rawOf(variable));
  return raw;
}

/** Copies values, converted to float32, into the variables of the same path. Strict unless told otherwise; see `assign`. */
export function writeParameters(
  params: Params,
  values: ReadonlyMap<string, RawTensor>,
  options?: { readonly strict?: boolean },
): AssignReport {
  return tidy(() =>
    assign(
      params,
      new Map([...values].map(([path, raw]) => [path, tf.tensor(toFloat32(raw), [...raw.shape], "float32")])),
      options,
    ),
  );
}

/** One tensor as float32 (or int32), copied off the engine. */
export async function rawOf(tensor: tf.Tensor): Promise<RawTensor> {
  return rawTensor((await tensor.data()).slice() as Float32Array | Int32Array, tensor.shape);
}

/** A float32 tensor of its own memory. */
export function tensorOf(raw: RawTensor): tf.Tensor {
  return tf.tensor(toFloat32(raw).slice(), [...raw.shape], "float32");
}
