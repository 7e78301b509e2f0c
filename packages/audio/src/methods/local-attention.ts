/**
 * Transformer blocks whose tokens see their neighbours only: windows of a grid, moved by half a window in every other
 * block. The block of Swin V2 (Liu et al., CVPR 2022, arXiv 2111.09883) in the form of AudioMAE's local decoder: cosine
 * attention with a temperature per head, a position bias computed from the logarithm of the distance, norms after the
 * branches. The reference drops 0.1 of the position bias's hidden units while training; here nothing is dropped.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyMlp,
  attention,
  expect,
  initLayerNorm,
  initLinear,
  initMlp,
  type LayerNormParams,
  type LinearParams,
  type MlpParams,
  parameter,
  type Random,
  takeRows,
} from "@unmask/core";

export interface LocalBlockParams {
  readonly attn: {
    readonly qkv: LinearParams;
    readonly proj: LinearParams;
    /** From a distance in two dimensions to a bias per head. */
    readonly meta_mlp: MlpParams;
    /** [heads]: what the cosine of a head is divided by. */
    readonly tau: tf.Variable;
  };
  readonly norm1: LayerNormParams;
  readonly mlp: MlpParams;
  readonly norm2: LayerNormParams;
}

const META_HIDDEN = 384;
const LEAST_TAU = 0.01;
/** Added to the logits of tokens that the shift brought into one window. */
const BLOCKED = -100;

export function initLocalBlock(
  random: Random,
  { width, hidden, heads }: { width: number; hidden: number; heads: number },
): LocalBlockParams {
  return {
    attn: {
      qkv: initLinear(random, width, 3 * width),
      proj: initLinear(random, width, width),
      meta_mlp: {
        fc1: initLinear(random, 2, META_HIDDEN),
        fc2: initLinear(random, META_HIDDEN, heads),
      },
      tau: parameter(tf.ones([heads])),
    },
    norm1: initLayerNorm(width),
    mlp: initMlp(random, width, hidden),
    norm2: initLayerNorm(width),
  };
}

export interface LocalOptions {
  /** [rows, columns]; tokens row-major. */
  readonly grid: readonly [number, number];
  /** [rows, columns] of a window. */
  readonly window: readonly [number, number];
  readonly heads: number;
  readonly epsilon: number;
}

/** All blocks in order; every other one sees windows moved down by half their height. [B, N, D] -> [B, N, D] */
export function applyLocalTransformer(
  blocks: readonly LocalBlockParams[],
  tokens: tf.Tensor3D,
  options: LocalOptions,
): tf.Tensor3D {
  const [still, moved] = [false, true].map((shifted) => layWindows(options, shifted));
  return blocks.reduce(
    (x, block, i) => applyLocalBlock(block, x, i % 2 === 0 ? still! : moved!, options),
    tokens,
  );
}

/** Where the tokens of a grid go when it is cut into windows. */
interface WindowLayout {
  /** Tokens of a window. */
  readonly area: number;
  readonly windows: number;
  /** [windows * area]: the token at each place. */
  readonly order: Int32Array;
  /** [windows, area, area]: 0, or what keeps tokens apart that only the shift brought together. */
  readonly blocked?: Float32Array;
  /** [area * area, 2]: sign(d) log(1 + |d|) of the distances between two places of a window. */
  readonly distances: Float32Array;
}

/** A window is no larger than the grid; along an axis that one window fills, nothing is moved. */
function layWindows({ grid, window }: Pick<LocalOptions, "grid" | "window">, shifted: boolean): WindowLayout {
  const [rows, columns] = grid;
  const [high, wide] = [Math.min(window[0], rows), Math.min(window[1], columns)];
  expect(
    rows % high === 0 && columns % wide === 0,
    `local decoder: windows of ${high}x${wide} do not divide a grid of ${rows}x${columns}; choose another windowSize`,
  );
  const shift = shifted && rows > high ? Math.floor(high / 2) : 0;
  const [area, windows] = [high * wide, (rows / high) * (columns / wide)];
  const order = new Int32Array(rows * columns);
  const wrapped = new Uint8Array(order.length); // places whose token came round from the first rows
  const distances = new Float32Array(area * area * 2);
  for (let place = 0; place < order.length; place++) {
    const [inWindow, index] = [place % area, Math.floor(place / area)];
    const row = Math.floor(index / (columns / wide)) * high + Math.floor(inWindow / wide);
    const column = (index % (columns / wide)) * wide + (inWindow % wide);
    order[place] = ((row + shift) % rows) * columns + column;
    wrapped[place] = row + shift >= rows ? 1 : 0;
  }
  const logDistance = (d: number) => Math.sign(d) * Math.log1p(Math.abs(d));
  for (let a = 0; a < area; a++)
    for (let b = 0; b < area; b++) {
      distances[2 * (a * area + b)] = logDistance(Math.floor(a / wide) - Math.floor(b / wide));
      distances[2 * (a * area + b) + 1] = logDistance((a % wide) - (b % wide));
    }
  if (shift === 0) return { area, windows, order, distances };
  const blocked = new Float32Array(windows * area * area);
  for (let i = 0; i < blocked.length; i++) {
    const [a, b] = [Math.floor(i / area), Math.floor(i / (area * area)) * area + (i % area)];
    if (wrapped[a] !== wrapped[b]) blocked[i] = BLOCKED;
  }
  return { area, windows, order, distances, blocked };
}

function applyLocalBlock(
  params: LocalBlockParams,
  x: tf.Tensor3D,
  layout: WindowLayout,
  { heads, epsilon }: LocalOptions,
): tf.Tensor3D {
  const attended = tf.add(x, applyLayerNorm(params.norm1, attend(params.attn, x, layout, heads), epsilon));
  return tf.add(
    attended,
    applyLayerNorm(params.norm2, applyMlp(params.mlp, attended), epsilon),
  ) as tf.Tensor3D;
}

function attend(
  params: LocalBlockParams["attn"],
  x: tf.Tensor3D,
  layout: WindowLayout,
  heads: number,
): tf.Tensor3D {
  const [batch, tokens, width] = x.shape;
  const { area, windows, order } = layout;
  const inverse = new Int32Array(tokens);
  order.forEach((token, place) => {
    inverse[token] = place;
  });
  const inWindows = takeRows(x, repeated(order, batch)).reshape([batch * windows, area, width]);
  const [q, k, v] = tf.split(applyLinear(params.qkv, inWindows), 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const temperature = tf.div(1, tf.maximum(params.tau, LEAST_TAU));
  const out = attention(unit(q, heads, temperature), unit(k, heads), v, {
    heads,
    scale: 1,
    bias: positionBias(params, layout, batch, heads),
  });
  const back = applyLinear(params.proj, out).reshape([batch, tokens, width]) as tf.Tensor3D;
  return takeRows(back, repeated(inverse, batch));
}

/** Each head's part of each row at length 1, times a factor per head: [B, N, D] -> [B, N, D] */
function unit(x: tf.Tensor, heads: number, factor?: tf.Tensor): tf.Tensor {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const split = x.reshape([batch * tokens, heads, width / heads]);
  const length = tf.sqrt(tf.add(tf.sum(tf.square(split), 2, true), 1e-12));
  const units = tf.div(split, length);
  return (factor === undefined ? units : tf.mul(units, factor.reshape([1, heads, 1]))).reshape(x.shape);
}

/** [1, heads, area, area], or one for each window of each sample where some are kept apart */
function positionBias(
  { meta_mlp }: LocalBlockParams["attn"],
  { area, windows, distances, blocked }: WindowLayout,
  batch: number,
  heads: number,
): tf.Tensor {
  const biases = applyMlp(meta_mlp, tf.tensor2d(distances, [area * area, 2]), { activation: "relu" });
  const table = tf.transpose(biases).reshape([1, heads, area, area]);
  if (blocked === undefined) return table;
  const apart = new Float32Array(batch * blocked.length); // not tiled: the gradient of a sum is faster than that of `tile`
  for (let b = 0; b < batch; b++) apart.set(blocked, b * blocked.length);
  return tf.add(table, tf.tensor4d(apart, [batch * windows, 1, area, area]));
}

function repeated(order: Int32Array, batch: number): Int32Array {
  const all = new Int32Array(order.length * batch);
  for (let b = 0; b < batch; b++) all.set(order, b * order.length);
  return all;
}
