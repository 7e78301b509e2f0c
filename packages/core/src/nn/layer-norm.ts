import * as tf from "@tensorflow/tfjs";
import { layerNorm } from "../ops/layer-norm.js";
import { parameter } from "../tree.js";

export interface LayerNormParams {
  /** [D] */
  readonly weight: tf.Variable;
  /** [D] */
  readonly bias: tf.Variable;
}

export function initLayerNorm(width: number): LayerNormParams {
  return { weight: parameter(tf.ones([width])), bias: parameter(tf.zeros([width])) };
}

/** Over the last axis: [..., D] -> [..., D] */
export function applyLayerNorm<T extends tf.Tensor>(params: LayerNormParams, x: T, epsilon: number): T {
  return layerNorm(x, params.weight, params.bias, epsilon);
}
