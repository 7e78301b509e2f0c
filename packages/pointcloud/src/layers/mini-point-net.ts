/** The patch embedder of Point-MAE: a small PointNet (Qi et al., CVPR 2017) over the points of each group. */
import * as tf from "@tensorflow/tfjs";
import {
  type BatchNormParams,
  type ConvParams,
  type Initializer,
  initBatchNorm,
  linear,
  type Random,
} from "@unmask/core";
import { maxPoints } from "./max-points.js";
import { applyPointConv, initPointConv, type Normalise } from "./point-conv.js";

export interface MiniPointNetParams {
  readonly first_conv: { readonly 0: ConvParams; readonly 1: BatchNormParams; readonly 3: ConvParams };
  readonly second_conv: { readonly 0: ConvParams; readonly 1: BatchNormParams; readonly 3: ConvParams };
}

/** @param widths of the first layer, of the local features and of the second part's first layer */
export function initMiniPointNet(
  random: Random,
  [first, local, second]: readonly [number, number, number],
  width: number,
  init?: Initializer,
): MiniPointNetParams {
  const conv = (channels: number, out: number) => initPointConv(random, channels, out, { init });
  return {
    first_conv: { 0: conv(3, first), 1: initBatchNorm(first), 3: conv(first, local) },
    second_conv: { 0: conv(2 * local, second), 1: initBatchNorm(second), 3: conv(second, width) },
  };
}

/**
 * One token for each group: [B, G, S, 3] -> [B, G, D]
 *
 * The second part sees [maximum over the group, point]. The maximum's share of its first product is computed once for a
 * group rather than once for each point.
 */
export function applyMiniPointNet(
  { first_conv: first, second_conv: second }: MiniPointNetParams,
  groups: tf.Tensor4D,
  normalise: Normalise,
): tf.Tensor3D {
  const [batch, count, size] = groups.shape;
  const points = groups.reshape([batch * count, size, 3]);
  const hidden = tf.relu(normalise(first[1], applyPointConv(first[0], points)));
  const local = applyPointConv(first[3], hidden) as tf.Tensor3D; // [BG, S, local]
  const [out, both] = second[0].weight.shape as [number, number];
  const [ofMaximum, ofPoint] = tf.split(second[0].weight.reshape([out, both]) as tf.Tensor2D, 2, 1);
  const shared = linear(maxPoints(local), ofMaximum!, second[0].bias).expandDims(1); // [BG, 1, second]
  const joined = tf.relu(normalise(second[1], tf.add(linear(local, ofPoint!), shared)));
  const tokens = maxPoints(applyPointConv(second[3], joined) as tf.Tensor3D);
  return tokens.reshape([batch, count, tokens.shape[1]]);
}
