/** Graphs as what training and evaluation take. */
import { createDataset, type Dataset } from "@unmask/core";
import type { Graph, NodeSample } from "./graph.js";
import type { NodeData } from "./read/graph-data.js";

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

/** The nodes of a graph, one sample each: a batch of them is a mini-batch with sampled neighbours. */
export function nodeDataset(data: Omit<NodeData, "kind">, { name = "nodes" } = {}): Dataset<NodeSample> {
  const { graph, classes, names } = data;
  return createDataset<NodeSample>({
    name,
    length: graph.nodes,
    labels: graph.labels,
    classes,
    ...(names && { nameOf: (index: number) => names[index]! }),
    get: async (node) => ({ graph, node }),
  });
}
