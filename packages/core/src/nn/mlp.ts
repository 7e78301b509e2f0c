import type * as tf from "@tensorflow/tfjs";
import type { Activation } from "../ops/gelu.js";
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

/** [..., D] -> [..., D]; `residual` is added to the result. */
export function applyMlp(
  params: MlpParams,
  x: tf.Tensor,
  { activation = "gelu", residual }: { activation?: Activation; residual?: tf.Tensor } = {},
): tf.Tensor {
  const { fc1, fc2 } = params;
  const layers = { weight1: fc1.weight, bias1: fc1.bias, weight2: fc2.weight, bias2: fc2.bias };
  return mlp(x, layers, { activation, residual });
}
