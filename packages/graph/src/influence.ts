/** How much nodes reach each other in a few steps of a random walk: powers of the row-normalised adjacency. */
import { type Edges, expect } from "@unmask/core";
import type { Graph } from "./graph.js";
import { loopedEdges } from "./structure.js";

/** Rows of a square matrix with few values. */
export interface NodeRows {
  /** [nodes + 1] */
  readonly starts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/** More would not fit a step. */
const MAX_VALUES = 2 ** 27;

/** A: the edges in both directions and a self loop at each node, over the row's sum. */
function walkOnce(graph: Graph): NodeRows {
  const { from, to, nodes } = graph;
  const both = { from: join(from, to), to: join(to, from), nodes };
  const { starts, from: columns }: Edges = loopedEdges(both);
  const values = new Float32Array(columns.length);
  for (let row = 0; row < nodes; row++)
    values.fill(1 / (starts[row + 1]! - starts[row]!), starts[row], starts[row + 1]);
  return { starts, columns, values };
}

const join = (a: Int32Array, b: Int32Array) => {
  const both = new Int32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};

/** A^order, or A + A^2 + ... + A^order: each row sums to 1, or to `order`. */
export function influenceRows(walk: NodeRows, order: number, cumulative: boolean): NodeRows {
  const nodes = walk.starts.length - 1;
  const starts = new Int32Array(nodes + 1);
  const [columns, values]: [Int32Array[], Float32Array[]] = [[], []];
  let total = 0;
  for (let row = 0; row < nodes; row++) {
    let power = new Map<number, number>([[row, 1]]);
    const sum = new Map<number, number>();
    for (let step = 1; step <= order; step++) {
      power = walkFrom(walk, power);
      if (cumulative || step === order)
        for (const [node, value] of power) sum.set(node, (sum.get(node) ?? 0) + value);
    }
    total += sum.size;
    expect(
      total <= MAX_VALUES,
      `influence: ${order} steps reach over ${MAX_VALUES} pairs of nodes; use a lower order`,
    );
    columns.push(Int32Array.from(sum.keys()));
    values.push(Float32Array.from(sum.values()));
    starts[row + 1] = total;
  }
  const all = { columns: new Int32Array(total), values: new Float32Array(total) };
  columns.forEach((own, row) => {
    all.columns.set(own, starts[row]);
    all.values.set(values[row]!, starts[row]);
  });
  return { starts, ...all };
}

function walkFrom(
  { starts, columns, values }: NodeRows,
  from: ReadonlyMap<number, number>,
): Map<number, number> {
  const next = new Map<number, number>();
  for (const [node, weight] of from)
    for (let i = starts[node]!; i < starts[node + 1]!; i++) {
      const column = columns[i]!;
      next.set(column, (next.get(column) ?? 0) + weight * values[i]!);
    }
  return next;
}

const remembered = new WeakMap<Graph, Map<string, NodeRows>>();

/** `influenceRows` of a graph, remembered for it. */
export function influenceOf(graph: Graph, order: number, cumulative: boolean): NodeRows {
  const own = remembered.get(graph) ?? new Map<string, NodeRows>();
  remembered.set(graph, own);
  const key = `${order} ${cumulative}`;
  const rows = own.get(key) ?? influenceRows(walkOnce(graph), order, cumulative);
  own.set(key, rows);
  return rows;
}

/** The entries between some nodes, row by row. [nodes, nodes] */
export function between({ starts, columns, values }: NodeRows, nodes: Int32Array): Float32Array {
  const place = new Int32Array(starts.length - 1).fill(-1);
  nodes.forEach((node, i) => {
    place[node] = i;
  });
  const dense = new Float32Array(nodes.length * nodes.length);
  nodes.forEach((node, row) => {
    for (let i = starts[node]!; i < starts[node + 1]!; i++) {
      const column = place[columns[i]!]!;
      if (column >= 0) dense[row * nodes.length + column] = values[i]!;
    }
  });
  return dense;
}
