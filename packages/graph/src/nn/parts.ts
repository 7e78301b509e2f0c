/** What the layers of graph networks have in common: activations, norms, initial weights. */
import * as tf from "@tensorflow/tfjs";
import {
  applyBatchNorm,
  applyLayerNorm,
  type BatchNormParams,
  gelu,
  initBatchNorm,
  initLayerNorm,
  initLinear,
  type LayerNormParams,
  type LinearParams,
  parameter,
  type Random,
  trainBatchNorm,
  uniform,
} from "@unmask/core";

export type GraphActivation = "prelu" | "relu" | "elu" | "gelu" | "none";
export type GraphNorm = "none" | "layer" | "batch";

/** What a network does beside its arithmetic in training; absent in evaluation. */
export interface GraphTraining {
  /** Share of the inputs of each layer that are zeroed. */
  readonly featureDropout: number;
  /** Share of the attention weights that are zeroed. */
  readonly attentionDropout: number;
  /** Of the draws of dropout: layer l uses seed + 2 l and seed + 2 l + 1. */
  readonly seed: number;
}

/** PReLU has one weight of its own for each layer, the others have none. */
export interface ActivationParams {
  /** [1] */
  readonly weight?: tf.Variable;
}

export const initActivation = (activation: GraphActivation): ActivationParams =>
  activation === "prelu" ? { weight: parameter(tf.fill([1], 0.25)) } : {};

export function applyActivation(
  activation: GraphActivation,
  { weight }: ActivationParams,
  x: tf.Tensor,
): tf.Tensor {
  switch (activation) {
    case "prelu":
      return tf.add(tf.relu(x), tf.mul(tf.minimum(x, 0), weight!));
    case "relu":
      return tf.relu(x);
    case "elu":
      return tf.elu(x);
    case "gelu":
      return gelu(x);
    case "none":
      return x;
  }
}

export type NormParams = LayerNormParams | BatchNormParams;

export function initNorm(norm: GraphNorm, width: number): NormParams | undefined {
  switch (norm) {
    case "layer":
      return initLayerNorm(width);
    case "batch":
      return initBatchNorm(width);
    case "none":
      return undefined;
  }
}

/** [N, D] -> [N, D]; batch norm uses the batch's statistics in training and the running ones otherwise. */
export function applyNorm(params: NormParams | undefined, x: tf.Tensor, training: boolean): tf.Tensor {
  if (params === undefined) return x;
  if ("running_mean" in params) return training ? trainBatchNorm(params, x) : applyBatchNorm(params, x);
  return applyLayerNorm(params, x, 1e-5);
}

/** PyTorch's default for a linear layer: weights and bias uniform in +-1 / sqrt(width). */
export const torchLinear = (random: Random, width: number, out: number, bias = true): LinearParams => {
  const bounded = uniform(1 / Math.sqrt(width));
  const { weight } = initLinear(random, width, out, { bias: false, init: bounded });
  return bias ? { weight, bias: parameter(bounded([out], random)) } : { weight };
};
