/** Heads of two layers between the features and what a contrastive loss compares. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  applyMlp,
  type BatchNormParams,
  initBatchNorm,
  initLinear,
  type LinearParams,
  type MlpParams,
  type Random,
  trainBatchNorm,
} from "@unmask/core";

/** The head of SimCLR and MoCo v2, its hidden layer as wide as the features. */
export function initHead(random: Random, width: number, out: number): MlpParams {
  return { fc1: initLinear(random, width, width), fc2: initLinear(random, width, out) };
}

/** Linear, ReLU, linear: [B, D] -> [B, out] */
export function applyHead(params: MlpParams, x: tf.Tensor): tf.Tensor2D {
  return applyMlp(params, x, { activation: "relu" }) as tf.Tensor2D;
}

/** With batch norm between its layers: the head of BYOL and SwAV. */
export interface ProjectionParams {
  readonly fc1: LinearParams;
  readonly bn: BatchNormParams;
  readonly fc2: LinearParams;
}

export function initProjection(random: Random, width: number, hidden: number, out: number): ProjectionParams {
  return {
    fc1: initLinear(random, width, hidden),
    bn: initBatchNorm(hidden),
    fc2: initLinear(random, hidden, out),
  };
}

/** Linear, batch norm by the batch's own statistics, ReLU, linear: [B, D] -> [B, out] */
export function trainProjection({ fc1, bn, fc2 }: ProjectionParams, x: tf.Tensor): tf.Tensor2D {
  return applyLinear(fc2, tf.relu(trainBatchNorm(bn, applyLinear(fc1, x)))) as tf.Tensor2D;
}
