/** Graph convolution (Kipf & Welling, ICLR 2017, arXiv 1609.02907) as GraphMAE builds it. */
import * as tf from "@tensorflow/tfjs";
import { applyLinear, type Edges, edgeSum, type LinearParams, type Random } from "@unmask/core";
import {
  type ActivationParams,
  applyActivation,
  applyNorm,
  type GraphActivation,
  type GraphNorm,
  initActivation,
  initNorm,
  type NormParams,
  torchLinear,
} from "./parts.js";

export interface GcnLayerParams {
  /** [out, in] */
  readonly fc: LinearParams;
  /** [out, in], no bias, where the layer has a residual and changes the width */
  readonly res_fc?: LinearParams;
  readonly norm?: NormParams;
  readonly _activation?: ActivationParams;
}

export interface GcnLayerShape {
  readonly width: number;
  readonly out: number;
  readonly residual: boolean;
  readonly norm: GraphNorm;
  readonly activation: GraphActivation;
}

export function initGcnLayer(
  random: Random,
  { width, out, residual, norm, activation }: GcnLayerShape,
): GcnLayerParams {
  const own = initNorm(norm, out);
  return {
    fc: torchLinear(random, width, out),
    ...(residual && width !== out ? { res_fc: torchLinear(random, width, out, false) } : {}),
    ...(own === undefined ? {} : { norm: own }),
    ...(activation === "prelu" ? { _activation: initActivation(activation) } : {}),
  };
}

export interface GcnPass {
  readonly edges: Edges;
  readonly residual: boolean;
  readonly activation: GraphActivation;
  /** Whether norms take the batch's statistics. */
  readonly training: boolean;
}

/**
 * Sum of the neighbours over the root of their out-degree, linear map with bias, over the root of the node's in-degree
 * (the bias too: the reference's order), residual, norm, activation. [N, in] -> [N, out]
 */
export function applyGcnLayer(params: GcnLayerParams, x: tf.Tensor, pass: GcnPass): tf.Tensor {
  const { edges, residual, activation, training } = pass;
  const received = edgeSum(tf.mul(x, inverseRoots(edges.back.starts)), edges);
  let y: tf.Tensor = tf.mul(applyLinear(params.fc, received), inverseRoots(edges.starts));
  if (residual) y = tf.add(y, params.res_fc === undefined ? x : applyLinear(params.res_fc, x));
  return applyActivation(activation, params._activation ?? {}, applyNorm(params.norm, y, training));
}

/** degree ^ -1/2 of each node, a degree of 0 counting as 1. [N, 1] */
function inverseRoots(starts: Int32Array): tf.Tensor2D {
  const nodes = starts.length - 1;
  const roots = Float32Array.from(
    { length: nodes },
    (_, i) => 1 / Math.sqrt(Math.max(1, starts[i + 1]! - starts[i]!)),
  );
  return tf.tensor2d(roots, [nodes, 1]);
}
