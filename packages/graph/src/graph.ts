/** Graphs on the host, and several of them as one. */
import { expect } from "@unmask/core";

/** Directed: an undirected edge is two. Treated as unchangeable once it has been given to a model. */
export interface Graph {
  /** Nodes of the graph. */
  readonly nodes: number;
  /** [nodes, width] */
  readonly features: Float32Array;
  /** Node each edge comes from, [edges]. */
  readonly from: Int32Array;
  /** Node each edge goes to, [edges]. */
  readonly to: Int32Array;
  /** Class of each node, -1 where unknown. [nodes] */
  readonly labels?: Int32Array;
  /** Class of the graph. */
  readonly label?: number;
}

/** One node as a sample, its graph around it. */
export interface NodeSample {
  readonly graph: Graph;
  readonly node: number;
}

/** What methods of graphs take: whole graphs, or nodes of graphs, not both at once. */
export type GraphSample = Graph | NodeSample;

export const isNode = (sample: GraphSample): sample is NodeSample => "node" in sample;

export interface GraphBatch extends Graph {
  /** Which graph each node is of, [nodes]. */
  readonly graphOf: Int32Array;
}

/** Graphs side by side as one graph without edges between them. All have features of one width. */
export function joinGraphs(graphs: readonly Graph[]): GraphBatch {
  const width = graphs[0] === undefined ? 0 : graphs[0].features.length / graphs[0].nodes;
  graphs.forEach((graph, i) => {
    check(graph, i, width);
  });
  const nodes = graphs.reduce((sum, graph) => sum + graph.nodes, 0);
  const edges = graphs.reduce((sum, { from }) => sum + from.length, 0);
  const [only] = graphs;
  if (graphs.length === 1 && only !== undefined) return { ...only, graphOf: new Int32Array(nodes) };
  const batch = {
    nodes,
    features: new Float32Array(nodes * width),
    from: new Int32Array(edges),
    to: new Int32Array(edges),
    graphOf: new Int32Array(nodes),
  };
  let [node, edge] = [0, 0];
  graphs.forEach((graph, i) => {
    batch.features.set(graph.features, node * width);
    for (const end of ["from", "to"] as const)
      batch[end].set(
        graph[end].map((index) => index + node),
        edge,
      );
    batch.graphOf.fill(i, node, node + graph.nodes);
    node += graph.nodes;
    edge += graph.from.length;
  });
  return batch;
}

function check({ nodes, features, from, to }: Graph, i: number, width: number): void {
  expect(nodes > 0 && features.length === nodes * width, () =>
    nodes === 0
      ? `joinGraphs: graph ${i} has no nodes; leave empty graphs out`
      : `joinGraphs: graph ${i} has ${features.length} features for ${nodes} nodes; expected ${width} for each, as in graph 0`,
  );
  expect(
    from.length === to.length,
    `joinGraphs: graph ${i} has ${from.length} edge beginnings and ${to.length} ends; give one of each for an edge`,
  );
  const outside = (node: number) => !(node >= 0 && node < nodes);
  const stray = from.find(outside) ?? to.find(outside);
  expect(
    stray === undefined,
    () => `joinGraphs: graph ${i} has an edge at node ${stray}; its nodes are 0-${nodes - 1}`,
  );
}
