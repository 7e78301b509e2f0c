/** Graph isomorphism network (Xu et al., ICLR 2019, arXiv 1810.00826) as GraphMAE builds it: epsilon 0 and fixed. */
import * as tf from "@tensorflow/tfjs";
import { applyLinear, buffer, type Edges, edgeSum, type LinearParams, type Random } from "@unmask/core";
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

interface GinMlpParams {
  readonly linears: readonly LinearParams[];
  /** Empty object without a norm. */
  readonly norms: readonly (NormParams | object)[];
  readonly activations: readonly ActivationParams[];
}

interface GinNodeParams {
  readonly mlp: GinMlpParams;
  readonly norm?: NormParams;
  readonly act: ActivationParams;
}

export interface GinLayerParams {
  /** [1], a buffer */
  readonly eps: tf.Variable;
  /** An MLP with norm and activation after it, or the MLP alone. */
  readonly apply_func: GinNodeParams | GinMlpParams;
  /** [out, in], no bias, where the layer has a residual and changes the width */
  readonly res_fc?: LinearParams;
}

export interface GinLayerShape {
  readonly width: number;
  readonly hidden: number;
  readonly out: number;
  readonly residual: boolean;
  readonly norm: GraphNorm;
  readonly activation: GraphActivation;
  /** Whether norm and activation follow the MLP. */
  readonly finish: boolean;
}

export function initGinLayer(
  random: Random,
  { width, hidden, out, residual, norm, activation, finish }: GinLayerShape,
): GinLayerParams {
  const mlp: GinMlpParams = {
    linears: [torchLinear(random, width, hidden), torchLinear(random, hidden, out)],
    norms: [initNorm(norm, hidden) ?? {}],
    activations: [initActivation(activation)],
  };
  const own = initNorm(norm, out);
  return {
    eps: buffer(tf.zeros([1])),
    apply_func: finish
      ? { mlp, ...(own === undefined ? {} : { norm: own }), act: initActivation(activation) }
      : mlp,
    ...(residual && width !== out ? { res_fc: torchLinear(random, width, out, false) } : {}),
  };
}

export interface GinPass {
  readonly edges: Edges;
  readonly residual: boolean;
  readonly activation: GraphActivation;
  /** Whether norms take the batch's statistics. */
  readonly training: boolean;
}

/** MLP of (1 + eps) x + the sum of the neighbours; norm and activation where the layer has them; residual. [N, in] -> [N, out] */
export function applyGinLayer(params: GinLayerParams, x: tf.Tensor, pass: GinPass): tf.Tensor {
  const { edges, residual, activation, training } = pass;
  const joined = tf.add(tf.mul(x, tf.add(params.eps, 1)), edgeSum(x, edges));
  const { apply_func: node } = params;
  const mlp = "mlp" in node ? node.mlp : node;
  const hidden = applyLinear(mlp.linears[0]!, joined);
  const normed = applyNorm(asNorm(mlp.norms[0]!), hidden, training);
  let y = applyLinear(mlp.linears[1]!, applyActivation(activation, mlp.activations[0]!, normed));
  if ("mlp" in node) y = applyActivation(activation, node.act, applyNorm(node.norm, y, training));
  if (!residual) return y;
  return tf.add(y, params.res_fc === undefined ? x : applyLinear(params.res_fc, x));
}

const asNorm = (norm: NormParams | object) => ("weight" in norm ? norm : undefined);
