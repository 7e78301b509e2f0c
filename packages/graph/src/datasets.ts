/** Graphs as what training and evaluation take. */
import { createDataset, createRandom, type Dataset, expect, type Random } from "@unmask/core";
import type { Graph, NodeSample } from "./graph.js";
import type { NodeData } from "./read/graph-data.js";
import { inducedGraph, loopedEdges } from "./structure.js";

/** Whole graphs, one sample each. One graph alone is trained on in full batches. */
export function graphDataset(
  graphs: readonly Graph[],
  { name = "graphs", classes }: { readonly name?: string; readonly classes?: readonly string[] } = {},
): Dataset<Graph> {
  return createDataset<Graph>({
    name,
    length: graphs.length,
    ...(graphs.some(({ label }) => label !== undefined) && {
      labels: Int32Array.from(graphs, ({ label = -1 }) => label),
    }),
    classes,
    get: async (index) => graphs[index]!,
  });
}

export interface NodeDatasetOptions {
  readonly name?: string;
}

/**
 * Nodes of a graph, one sample each: a batch of them is a mini-batch with sampled neighbours, all of them at once are the
 * whole graph.
 * @param data.only the nodes; all when absent
 */
export function nodeDataset(
  { graph, classes, names, only }: Omit<NodeData, "kind"> & { readonly only?: Int32Array },
  { name = "nodes" }: NodeDatasetOptions = {},
): Dataset<NodeSample> {
  const nodeOf = (index: number) => only?.[index] ?? index;
  const { labels } = graph;
  return createDataset<NodeSample>({
    name,
    length: only?.length ?? graph.nodes,
    ...(labels && { labels: only === undefined ? labels : only.map((node) => labels[node]!) }),
    classes,
    nameOf: (index) => names?.[nodeOf(index)] ?? String(nodeOf(index)),
    get: async (index) => ({ graph, node: nodeOf(index) }),
  });
}

/**
 * A graph cut into parts of about equal size, each a sample with the edges inside it (Chiang et al., KDD 2019, Cluster-GCN):
 * batches for graphs that do not fit a step. Parts grow from random nodes over neighbours.
 */
export function clusterDataset(
  { graph }: Pick<NodeData, "graph">,
  {
    parts,
    seed = 0,
    name = "parts",
  }: NodeDatasetOptions & { readonly parts: number; readonly seed?: number },
): Dataset<Graph> {
  return graphDataset(
    clusterNodes(graph, parts, createRandom(seed)).map((nodes) => inducedGraph(graph, nodes)),
    { name },
  );
}

/** Divides the nodes into `parts` of at most ceil(nodes / parts), neighbours together where possible. */
export function clusterNodes(graph: Graph, parts: number, random: Random): Int32Array[] {
  expect(
    Number.isInteger(parts) && parts > 0 && parts <= graph.nodes,
    `clusterNodes: ${parts} parts of ${graph.nodes} nodes; use 1 to ${graph.nodes}`,
  );
  const { from, starts } = loopedEdges(graph);
  const size = Math.ceil(graph.nodes / parts);
  const taken = new Uint8Array(graph.nodes);
  const clusters: Int32Array[] = [];
  let queue: number[] = [];
  let own: number[] = [];
  const take = (node: number) => {
    if (taken[node] === 1) return;
    if (own.length === size) {
      clusters.push(Int32Array.from(own));
      [own, queue] = [[], []];
    }
    taken[node] = 1;
    own.push(node);
    queue.push(node);
  };
  for (const seed of random.permutation(graph.nodes)) {
    take(seed);
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      for (let e = starts[next]!; e < starts[next + 1]!; e++) take(from[e]!);
  }
  clusters.push(Int32Array.from(own));
  return clusters;
}
