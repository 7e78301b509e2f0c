import type * as tf from "@tensorflow/tfjs";
import { type LinearOptions, linear } from "../ops/linear.js";
import type { Random } from "../random.js";
import { parameter } from "../tree.js";
import { type Initializer, xavierUniform, zeros } from "./init.js";

export interface LinearParams {
  /** [out, in] */
  readonly weight: tf.Variable;
  /** [out] */
  readonly bias?: tf.Variable;
}

/** A linear layer; by default xavier-uniform weights and zero bias, as in the MAE family. */
export function initLinear(
  random: Random,
  width: number,
  out: number,
  { bias = true, init = xavierUniform }: { bias?: boolean; init?: Initializer } = {},
): LinearParams {
  const weight = parameter(init([out, width], random));
  return bias ? { weight, bias: parameter(zeros([out], random)) } : { weight };
}

/** [..., in] -> [..., out] */
export function applyLinear(params: LinearParams, x: tf.Tensor, options?: LinearOptions): tf.Tensor {
  return linear(x, params.weight, params.bias, options);
}
