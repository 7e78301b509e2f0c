/** What readers return: a graph or several, with what is known of them. */
import type { Graph } from "../graph.js";

/** Places of nodes or graphs, each kind for its use. */
export interface GraphSplit {
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

/** One graph whose nodes are what is looked at. */
export interface NodeData {
  readonly kind: "nodes";
  readonly graph: Graph;
  readonly classes?: readonly string[];
  /** The published split, where there is one. */
  readonly split?: GraphSplit;
  /** What each node is called; its number when absent. */
  readonly names?: readonly string[];
}

/** Graphs each of which is looked at as a whole. */
export interface GraphsData {
  readonly kind: "graphs";
  readonly graphs: readonly Graph[];
  readonly classes?: readonly string[];
  /** The published folds: for each, the graphs that are tested. */
  readonly folds?: readonly Int32Array[];
}

export type GraphData = NodeData | GraphsData;

/** Divides each row by its sum; rows of zeros stay. In place. */
export function normaliseRows(features: Float32Array, width: number): Float32Array {
  for (let start = 0; start < features.length; start += width) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += features[i]!;
    if (sum !== 0) for (let i = start; i < start + width; i++) features[i]! /= sum;
  }
  return features;
}

/** Edges in both directions, each once; self loops once. */
export function undirected(from: ArrayLike<number>, to: ArrayLike<number>, nodes: number) {
  const seen = new Set<number>();
  for (let i = 0; i < from.length; i++) {
    seen.add(from[i]! * nodes + to[i]!);
    seen.add(to[i]! * nodes + from[i]!);
  }
  const keys = Float64Array.from(seen).sort();
  return {
    from: Int32Array.from(keys, (key) => Math.floor(key / nodes)),
    to: Int32Array.from(keys, (key) => key % nodes),
  };
}
