/** Graph attention (Veličković et al., ICLR 2018, arXiv 1710.10903) as GraphMAE builds it. */
import * as tf from "@tensorflow/tfjs";
import {
  dropout,
  type Edges,
  edgeSoftmax,
  edgeSum,
  gatherAny,
  type LinearParams,
  linear,
  normal,
  parameter,
  type Random,
} from "@unmask/core";
import type { NodeInput } from "./node-input.js";
import {
  type ActivationParams,
  applyActivation,
  applyNorm,
  type GraphActivation,
  type GraphNorm,
  type GraphTraining,
  initActivation,
  initNorm,
  type NormParams,
} from "./parts.js";

export interface GatLayerParams {
  /** [H * D, in], no bias */
  readonly fc: LinearParams;
  /** [1, H, D]: of the node that a message comes from */
  readonly attn_l: tf.Variable;
  /** [1, H, D]: of the node that it goes to */
  readonly attn_r: tf.Variable;
  /** [H * D] */
  readonly bias: tf.Variable;
  /** [H * D, in], where the layer has a residual and changes the width */
  readonly res_fc?: LinearParams;
  readonly norm?: NormParams;
  readonly activation?: ActivationParams;
}

export interface GatLayerShape {
  readonly width: number;
  /** Of each head. */
  readonly out: number;
  readonly heads: number;
  readonly residual: boolean;
  readonly norm: GraphNorm;
  readonly activation: GraphActivation;
}

const GAIN = Math.SQRT2; // of xavier's normal distribution before a ReLU

export function initGatLayer(
  random: Random,
  { width, out, heads, residual, norm, activation }: GatLayerShape,
): GatLayerParams {
  const all = heads * out;
  const matrix = () => ({
    weight: parameter(normal(GAIN * Math.sqrt(2 / (width + all)))([all, width], random)),
  });
  const attention = () => parameter(normal(GAIN * Math.sqrt(2 / (all + out)))([1, heads, out], random));
  const fc = matrix();
  const [attn_l, attn_r] = [attention(), attention()];
  const own = initNorm(norm, all);
  return {
    ...{ fc, attn_l, attn_r, bias: parameter(tf.zeros([all])) },
    ...(residual && width !== all ? { res_fc: matrix() } : {}),
    ...(own === undefined ? {} : { norm: own }),
    ...(activation === "prelu" ? { activation: initActivation(activation) } : {}),
  };
}

export interface GatPass {
  readonly edges: Edges;
  /** Node that each target of the edges is; target i is node i when absent. */
  readonly targets?: Int32Array;
  readonly residual: boolean;
  readonly activation: GraphActivation;
  readonly negativeSlope: number;
  readonly training?: GraphTraining;
  /** Which layer this is, for the seeds of dropout. */
  readonly layer: number;
}

/**
 * softmax over incoming edges of LeakyReLU(a_l . W x_from + a_r . W x_to), head by head; then bias, residual, norm and
 * activation, in this order.
 * @param x [N, in], or the nodes' own features
 * @returns [targets, H * D]
 */
export function applyGatLayer(params: GatLayerParams, x: tf.Tensor | NodeInput, pass: GatPass): tf.Tensor {
  const { edges, targets, residual, activation, negativeSlope, training, layer } = pass;
  const { fc, attn_l, attn_r, bias } = params;
  const [, heads, out] = attn_l.shape as [number, number, number];
  const seed = (training?.seed ?? 0) + 2 * layer;
  const drop = training && { rate: training.featureDropout, seed };
  let kept: tf.Tensor | undefined;
  const input = () =>
    (kept ??= x instanceof tf.Tensor ? (drop ? dropout(x, drop.rate, seed) : x) : x.dense(drop));
  const product = ({ weight }: LinearParams) =>
    x instanceof tf.Tensor ? linear(input(), weight) : x.product(weight, drop);

  // One head that widens: messages of the input's width, the product once for each target.
  const late = heads === 1 && out > fc.weight.shape[1]!;
  const features = late ? input() : product(fc);
  const scores = linear(features, scoreWeights(params, late)); // [N, 2 H]
  const [left, right] = tf.split(scores, 2, 1) as [tf.Tensor, tf.Tensor];
  const to = targets === undefined ? edges.to : edges.to.map((target) => targets[target]!);
  const logits = tf.leakyRelu(tf.add(gatherAny(left, edges.from), gatherAny(right, to)), negativeSlope);
  const softmax = edgeSoftmax(logits, edges); // [E, H]
  const weights = training ? dropout(softmax, training.attentionDropout, seed + 1) : softmax;
  const received = edgeSum(features, edges, weights, heads);

  let y: tf.Tensor = late ? linear(received, fc.weight, bias) : tf.add(received, bias);
  if (residual) {
    const own = params.res_fc === undefined ? input() : product(params.res_fc);
    y = tf.add(y, targets === undefined ? own : gatherAny(own, targets));
  }
  return applyActivation(
    activation,
    params.activation ?? {},
    applyNorm(params.norm, y, training !== undefined),
  );

  /** What both scores of every head are as one linear map of the features. [2 H, width] */
  function scoreWeights({ fc }: GatLayerParams, ofInput: boolean): tf.Tensor {
    const apart = tf.eye(heads).reshape([heads, heads, 1]); // a head's scores see its own features only
    const both = [attn_l, attn_r].map((attention) => tf.mul(apart, attention).reshape([heads, heads * out]));
    const weights = tf.concat(both, 0); // [2 H, H * D]
    return ofInput ? tf.matMul(weights as tf.Tensor2D, fc.weight as unknown as tf.Tensor2D) : weights;
  }
}
