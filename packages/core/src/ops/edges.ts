/** Messages along the edges of a graph: weighted sums of what neighbours hold, and the softmax over a node's edges. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { kernel } from "./kernel.js";
import { foldSegments, segmentSumKernel } from "./segment-sum.js";

/** Directed edges, sorted by where they go; messages flow from `from` to `to`. Made by `sortEdges`. */
export interface Edges {
  /** Nodes that messages come from. */
  readonly sources: number;
  /** Nodes that messages go to. */
  readonly targets: number;
  /** [E] */
  readonly from: Int32Array;
  /** [E], ascending */
  readonly to: Int32Array;
  /** Edges to node i are starts[i] .. starts[i + 1] - 1. [targets + 1] */
  readonly starts: Int32Array;
  /** The same edges by where they come from: what carries gradients back. */
  readonly back: {
    /** Place of each edge in `from` and `to`. [E] */
    readonly order: Int32Array;
    /** [E] */
    readonly to: Int32Array;
    /** [sources + 1] */
    readonly starts: Int32Array;
  };
}

/**
 * Sorts edges by where they go; those to one node keep their order.
 * @returns the edges, and the place each had in the arrays given
 */
export function sortEdges(
  from: Int32Array,
  to: Int32Array,
  sources: number,
  targets = sources,
): { edges: Edges; order: Int32Array } {
  expect(
    from.length === to.length,
    `sortEdges: ${from.length} beginnings and ${to.length} ends; give one of each for an edge`,
  );
  const { order, starts } = group("sortEdges: target", to, targets);
  const sorted = { from: order.map((edge) => from[edge]!), to: order.map((edge) => to[edge]!) };
  const back = group("sortEdges: source", sorted.from, sources);
  return {
    order,
    edges: {
      ...{ sources, targets, ...sorted, starts },
      back: { ...back, to: back.order.map((edge) => sorted.to[edge]!) },
    },
  };
}

/** A counting sort that keeps the order of equals. */
function group(what: string, keys: Int32Array, count: number): { order: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (const key of keys) {
    expect(key >= 0 && key < count, () => `${what} ${key} is outside 0..${count - 1}`);
    starts[key + 1]!++;
  }
  for (let i = 0; i < count; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const order = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) order[next[keys[i]!]!++] = i;
  return { order, starts };
}

/** Segment of each entry, from where the segments start. */
function segmentsOf(starts: Int32Array, length: number): Int32Array {
  const segments = new Int32Array(length);
  for (let s = 0; s + 1 < starts.length; s++) segments.fill(s, starts[s]!, starts[s + 1]!);
  return segments;
}

/** [E, H * D] times one weight for each head: [E, H] */
const weigh = (rows: tf.Tensor, weights: tf.Tensor) => {
  const [edges, heads] = weights.shape as [number, number];
  return tf.mul(rows.reshape([edges, heads, -1]), weights.reshape([edges, heads, 1])).reshape(rows.shape);
};

/**
 * `UnmaskEdgeSum`: y[n] = sum over the entries e of segment n of weights[order[e]] * x[index[e]], head by head.
 * inputs x [R, H*D], index int32 [E], starts int32 [N + 1], weights? [E, H], order? int32 [E] (in order when absent);
 * attrs heads; outputs [y [N, H*D]].
 */
const edgeSumKernel = kernel<
  { x: tf.Tensor; index: tf.Tensor; starts: tf.Tensor; weights?: tf.Tensor; order?: tf.Tensor },
  { heads: number }
>("UnmaskEdgeSum", ({ x, index, starts, weights, order }) => {
  const count = starts.size - 1;
  const width = x.shape[1]!;
  if (index.size === 0 || count === 0) return [tf.zeros([count, width])];
  const segments = segmentsOf(starts.dataSync() as Int32Array, index.size);
  const rows = tf.gather(x, index as tf.Tensor1D);
  const own = weights && (order === undefined ? weights : tf.gather(weights, order as tf.Tensor1D));
  return segmentSumKernel(
    { x: own === undefined ? rows : weigh(rows, own), segments: tf.tensor1d(segments, "int32") },
    { count },
  );
});

/**
 * `UnmaskEdgeDot`: y[e, h] = a[to[e], h] . b[from[e], h].
 * inputs a [N, H*D], b [R, H*D], to int32 [E], from int32 [E]; attrs heads; outputs [y [E, H]].
 */
const edgeDotKernel = kernel<
  { a: tf.Tensor; b: tf.Tensor; to: tf.Tensor; from: tf.Tensor },
  { heads: number }
>("UnmaskEdgeDot", ({ a, b, to, from }, { heads }) => {
  if (to.size === 0) return [tf.zeros([0, heads])];
  const product = tf.mul(tf.gather(a, to as tf.Tensor1D), tf.gather(b, from as tf.Tensor1D));
  return [tf.sum(product.reshape([to.size, heads, -1]), 2)];
});

/**
 * `UnmaskEdgeSoftmax`: the softmax of each column over the entries of each segment.
 * inputs x [E, H], starts int32 [N + 1]; outputs [y [E, H]].
 */
const edgeSoftmaxKernel = kernel<{ x: tf.Tensor; starts: tf.Tensor }, object>(
  "UnmaskEdgeSoftmax",
  ({ x, starts }) => {
    if (x.size === 0) return [x.clone()];
    const count = starts.size - 1;
    const segments = segmentsOf(starts.dataSync() as Int32Array, x.shape[0]!);
    const index = tf.tensor1d(segments, "int32");
    const largest = foldSegments(x, segments, count, tf.maximum, -3e38);
    const powers = tf.exp(tf.sub(x, tf.gather(largest, index)));
    const [sums] = segmentSumKernel({ x: powers, segments: index }, { count });
    return [tf.div(powers, tf.gather(sums!, index))];
  },
);

/** `UnmaskEdgeSoftmaxGrad`: inputs dy, y [E, H], starts int32 [N + 1]; outputs [dx [E, H]]. */
const edgeSoftmaxGradKernel = kernel<{ dy: tf.Tensor; y: tf.Tensor; starts: tf.Tensor }, object>(
  "UnmaskEdgeSoftmaxGrad",
  ({ dy, y, starts }) => {
    if (y.size === 0) return [y.clone()];
    const segments = tf.tensor1d(segmentsOf(starts.dataSync() as Int32Array, y.shape[0]!), "int32");
    const weighed = tf.mul(dy, y);
    const [sums] = segmentSumKernel({ x: weighed, segments }, { count: starts.size - 1 });
    return [tf.sub(weighed, tf.mul(y, tf.gather(sums!, segments)))];
  },
);

const ints = (values: Int32Array) => tf.tensor1d(values, "int32");

/**
 * What each node receives: the sum over its incoming edges of weight times what their source holds. The gradient runs
 * over the edges backwards.
 * @param x [sources, H * D]
 * @param weights [E, H], or H numbers an edge that are data; 1 when absent
 * @returns [targets, H * D]; a node without incoming edges gets zeros
 */
export function edgeSum(
  x: tf.Tensor,
  edges: Edges,
  weights?: tf.Tensor | Float32Array,
  heads = 1,
): tf.Tensor2D {
  const { from, to, starts, back } = edges;
  const width = x.shape[1]!;
  const given =
    weights === undefined ? heads * from.length : "size" in weights ? weights.size : weights.length;
  expect(
    x.rank === 2 && x.shape[0] === edges.sources && width % heads === 0 && given === heads * from.length,
    () =>
      `edgeSum: x [${x.shape}] and ${given} weights do not fit ${edges.sources} nodes, ${from.length} edges and ${heads} heads`,
  );
  const constant = weights instanceof Float32Array ? weights : undefined;
  const own = () => constant && tf.tensor2d(constant, [from.length, heads]);
  const forward = (rows: tf.Tensor, w?: tf.Tensor) =>
    tf.tidy(() =>
      edgeSumKernel({ x: rows, index: ints(from), starts: ints(starts), weights: w ?? own() }, { heads }),
    )[0]!;
  const backward = (dy: tf.Tensor, w?: tf.Tensor) =>
    tf.tidy(() => {
      const order = ints(back.order);
      const over = { index: ints(back.to), starts: ints(back.starts) };
      return edgeSumKernel({ x: dy, ...over, weights: w ?? own(), order }, { heads });
    })[0]!;
  if (weights === undefined || constant !== undefined)
    return tf.customGrad((rows) => ({
      value: forward(rows as tf.Tensor),
      gradFunc: (dy: tf.Tensor) => backward(dy),
    }))(x) as tf.Tensor2D;
  return tf.customGrad((rows, w, save) => {
    (save as tf.GradSaveFunc)([rows as tf.Tensor, w as tf.Tensor]);
    return {
      value: forward(rows as tf.Tensor, w as tf.Tensor),
      gradFunc: (dy: tf.Tensor, [rows, w]: tf.Tensor[]) => [
        backward(dy, w),
        tf.tidy(() => edgeDotKernel({ a: dy, b: rows!, to: ints(to), from: ints(from) }, { heads })[0]!),
      ],
    };
  })(x, weights as tf.Tensor) as tf.Tensor2D;
}

/**
 * The softmax of each column over the edges that go to one node.
 * @param logits [E, H]
 * @returns [E, H]; of every node with incoming edges they sum to 1
 */
export function edgeSoftmax(logits: tf.Tensor, { starts, to }: Edges): tf.Tensor2D {
  expect(
    logits.rank === 2 && logits.shape[0] === to.length,
    () => `edgeSoftmax: expected logits [${to.length}, H], got [${logits.shape}]`,
  );
  return tf.customGrad((x, save) => {
    const y = tf.tidy(() => edgeSoftmaxKernel({ x: x as tf.Tensor, starts: ints(starts) }, {})[0]!);
    (save as tf.GradSaveFunc)([y]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, [y]: tf.Tensor[]) =>
        tf.tidy(() => edgeSoftmaxGradKernel({ dy, y: y!, starts: ints(starts) }, {})[0]!),
    };
  })(logits) as tf.Tensor2D;
}
