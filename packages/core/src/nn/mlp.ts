import type * as tf from "@tensorflow/tfjs";
import type { Activation } from "../ops/gelu.js";
import type { Norm } from "../ops/linear.js";
import { mlp } from "../ops/mlp.js";
import type { Random } from "../random.js";
import type { Initializer } from "./init.js";
import { initLinear, type LinearParams } from "./linear.js";

export interface MlpParams {
  readonly fc1: LinearParams;
  readonly fc2: LinearParams;
}

export function initMlp(
  random: Random,
  width: number,
  hidden: number,
  options?: { init?: Initializer },
): MlpParams {
  return { fc1: initLinear(random, width, hidden, options), fc2: initLinear(random, hidden, width, options) };
}

/** [..., D] -> [..., D]; x is normalised first by `norm`, `residual` is added to the result. */
export function applyMlp(
  params: MlpParams,
  x: tf.Tensor,
  {
    activation = "gelu",
    norm,
    residual,
  }: { activation?: Activation; norm?: Norm; residual?: tf.Tensor } = {},
): tf.Tensor {
  return mlp(x, params.fc1, params.fc2, { activation, norm, residual });
}
