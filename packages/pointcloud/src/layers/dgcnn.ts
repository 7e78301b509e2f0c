/**
 * DGCNN: Dynamic Graph CNN for Learning on Point Clouds. Wang, Sun, Liu, Sarma, Bronstein, Solomon, TOG 2019,
 * https://arxiv.org/abs/1801.07829, up to the features of single points. Each layer links a point to its nearest points in
 * the layer's own feature space, itself among them.
 */
import * as tf from "@tensorflow/tfjs";
import {
  type BatchNormParams,
  type ConvParams,
  expect,
  gatherAny,
  initBatchNorm,
  initConv,
  linear,
  type Random,
  tidy,
} from "@unmask/core";
import { maxPoints } from "./max-points.js";
import { applyPointConv, initPointConv, leakyRelu, type Normalise } from "./point-conv.js";

interface ConvNormParams {
  readonly 0: ConvParams;
  readonly 1: BatchNormParams;
}

export interface DgcnnParams {
  /** Edge convolutions; weights [out, 2 * in, 1, 1] of [neighbour - point, point]. */
  readonly edges: readonly ConvNormParams[];
  /** Of all layers' features side by side; weight [D, sum, 1]. */
  readonly joint: ConvNormParams;
}

export function initDgcnn(random: Random, widths: readonly number[], width: number): DgcnnParams {
  const edges = widths.map((out, layer) => ({
    0: initConv(random, {
      channels: 2 * (layer === 0 ? 3 : widths[layer - 1]!),
      out,
      kernel: [1, 1],
      bias: false,
    }),
    1: initBatchNorm(out),
  }));
  const sum = widths.reduce((a, b) => a + b, 0);
  return { edges, joint: { 0: initPointConv(random, sum, width, { bias: false }), 1: initBatchNorm(width) } };
}

/** Features of every point: [B, N, 3] -> [B, N, D] */
export function applyDgcnn(
  { edges, joint }: DgcnnParams,
  points: tf.Tensor3D,
  neighbours: number,
  normalise: Normalise,
): tf.Tensor3D {
  const layers: tf.Tensor3D[] = [];
  for (const edge of edges) layers.push(applyEdgeConv(edge, layers.at(-1) ?? points, neighbours, normalise));
  const all = tf.concat(layers, 2);
  return leakyRelu(normalise(joint[1], applyPointConv(joint[0], all))) as tf.Tensor3D;
}

/**
 * The largest over a point's neighbours of leakyRelu(norm(W [neighbour - point, point])). The product is linear in both,
 * so it is computed once for each point rather than once for each pair. [B, N, C] -> [B, N, O]
 */
function applyEdgeConv(
  { 0: conv, 1: norm }: ConvNormParams,
  x: tf.Tensor3D,
  neighbours: number,
  normalise: Normalise,
): tf.Tensor3D {
  const [batch, count] = x.shape;
  const out = conv.weight.shape[0]!;
  const index = featureNeighbours(x, neighbours);
  const [ofDifference, ofPoint] = tf.split(conv.weight.reshape([out, -1]) as tf.Tensor2D, 2, 1);
  const fromNeighbour = linear(x, ofDifference!).reshape([batch * count, out]);
  const fromPoint = linear(x, tf.sub(ofPoint!, ofDifference!)).reshape([batch * count, 1, out]);
  const pairs = gatherAny(fromNeighbour, index).reshape([batch * count, neighbours, out]);
  const edges = leakyRelu(normalise(norm, tf.add(pairs, fromPoint))) as tf.Tensor3D;
  return maxPoints(edges).reshape([batch, count, out]);
}

/**
 * Rows of the `k` points nearest in feature space to each point of the same sample, nearest first, equal ones by index.
 * Chosen on the host: the engine must give its values at once, which WebGPU does not.
 * @param x [B, N, C]
 * @returns rows of [B * N]: [B, N, k]
 */
function featureNeighbours(x: tf.Tensor3D, k: number): Int32Array {
  const [batch, count] = x.shape;
  expect(
    k <= count,
    () => `dgcnn: ${k} neighbours among ${count} points; take fewer neighbours or more points`,
  );
  const distances = tidy(() => {
    const squares = tf.sum(tf.square(x), -1, true); // [B, N, 1]
    const products = tf.matMul(x, x, false, true);
    return tf.add(tf.sub(squares.transpose([0, 2, 1]), tf.mul(products, 2)), squares).dataSync();
  });
  const index = new Int32Array(batch * count * k);
  for (let row = 0; row < batch * count; row++) {
    const first = Math.floor(row / count) * count;
    smallest(distances.subarray(row * count, (row + 1) * count), k, index.subarray(row * k, (row + 1) * k));
    for (let i = row * k; i < (row + 1) * k; i++) index[i]! += first;
  }
  return index;
}

/** Indices of the k smallest values, ascending, into `found`. */
function smallest(values: ArrayLike<number>, k: number, found: Int32Array): void {
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (count === k && value >= values[found[k - 1]!]!) continue;
    let place = count < k ? count++ : k - 1;
    for (; place > 0 && values[found[place - 1]!]! > value; place--) found[place] = found[place - 1]!;
    found[place] = i;
  }
}
