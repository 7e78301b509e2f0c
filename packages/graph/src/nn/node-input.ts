/**
 * What the first layer of a network sees: features of nodes, some of which show a learned token. Bags of words are
 * nearly all zeros, so that their products run over the words that there are; the rows that show the token share one
 * product too. Both are what the dense product gives, at a fraction of its cost.
 */
import * as tf from "@tensorflow/tfjs";
import {
  dropout,
  dropoutScale,
  edgeSum,
  expect,
  gatherAny,
  linear,
  sortEdges,
  takeOrFill,
} from "@unmask/core";

interface Drop {
  readonly rate: number;
  readonly seed: number;
}

export interface NodeInput {
  readonly nodes: number;
  readonly width: number;
  /** [N, F] */
  dense(drop?: Drop): tf.Tensor;
  /** The input times the transpose of weight [out, F]: [N, out] */
  product(weight: tf.Tensor, drop?: Drop): tf.Tensor;
}

/** Share of values other than zero up to which products leave the zeros out. */
const SPARSE = 0.1;

interface Rows {
  readonly starts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

const known = new WeakMap<Float32Array, Rows | "dense">();

/**
 * @param features [nodes, width]
 * @param shown row of the features that each node shows, -1 where it shows the token; each its own when absent
 * @param token [1, width]
 */
export function nodeInput(
  features: Float32Array,
  width: number,
  shown?: Int32Array,
  token?: tf.Tensor,
): NodeInput {
  const nodes = shown?.length ?? features.length / width;
  expect(
    shown === undefined || token !== undefined || shown.every((row) => row >= 0),
    "nodeInput: nodes show a token and none is given",
  );
  const shows = shown ?? Int32Array.from({ length: nodes }, (_, i) => i);
  const dense = (drop?: Drop) => {
    const rows = tf.tensor2d(features, [features.length / width, width]);
    const input = shown === undefined ? rows : takeOrFill(rows, shown, token ?? tf.zeros([1, width]));
    return drop === undefined ? input : dropout(input, drop.rate, drop.seed);
  };
  return {
    ...{ nodes, width, dense },
    product(weight, drop) {
      const rows = sparseRows(features, width);
      if (rows === "dense") return linear(dense(drop), weight);
      const words = wordProduct(rows, shows, weight, drop);
      const blank = places(shows);
      if (token === undefined || blank.count === 0) return words;
      const open = tf.fill([blank.count, width], 1);
      const mask = drop === undefined ? open : dropout(open, drop.rate, drop.seed + 1);
      const shared = linear(mask, tf.mul(weight, token), undefined, { constantInput: true }); // [T, out]
      const spread = gatherAny(tf.concat([shared, tf.zeros([1, weight.shape[0]!])], 0), blank.index);
      return tf.add(words, spread);
    },
  };
}

/** Place of each node among those that show the token, their count for the others. */
function places(shows: Int32Array): { index: Int32Array; count: number } {
  let count = 0;
  for (const row of shows) if (row < 0) count++;
  let next = 0;
  return { index: shows.map((row) => (row < 0 ? next++ : count)), count };
}

/** Sums of the weight's columns over the words of each node. [N, out] */
function wordProduct({ starts, columns, values }: Rows, shows: Int32Array, weight: tf.Tensor, drop?: Drop) {
  let total = 0;
  for (const row of shows) if (row >= 0) total += starts[row + 1]! - starts[row]!;
  const [from, to, weights] = [new Int32Array(total), new Int32Array(total), new Float32Array(total)];
  let at = 0;
  shows.forEach((row, node) => {
    if (row < 0) return;
    const [start, end] = [starts[row]!, starts[row + 1]!];
    from.set(columns.subarray(start, end), at);
    weights.set(values.subarray(start, end), at);
    to.fill(node, at, (at += end - start));
  });
  if (drop !== undefined && drop.rate > 0) {
    const scale = dropoutScale(total, drop.rate, drop.seed);
    for (let i = 0; i < total; i++) weights[i]! *= scale[i]!;
  }
  const { edges } = sortEdges(from, to, weight.shape[1]!, shows.length); // in order already
  return edgeSum(tf.transpose(weight), edges, weights);
}

function sparseRows(features: Float32Array, width: number): Rows | "dense" {
  const found = known.get(features);
  if (found !== undefined) return found;
  let filled = 0;
  for (const value of features) if (value !== 0) filled++;
  const rows = filled > SPARSE * features.length ? "dense" : compress(features, width, filled);
  known.set(features, rows);
  return rows;
}

function compress(features: Float32Array, width: number, filled: number): Rows {
  const nodes = features.length / width;
  const starts = new Int32Array(nodes + 1);
  const [columns, values] = [new Int32Array(filled), new Float32Array(filled)];
  let at = 0;
  for (let node = 0; node < nodes; node++) {
    for (let column = 0; column < width; column++) {
      const value = features[node * width + column]!;
      if (value === 0) continue;
      columns[at] = column;
      values[at++] = value;
    }
    starts[node + 1] = at;
  }
  return { starts, columns, values };
}
