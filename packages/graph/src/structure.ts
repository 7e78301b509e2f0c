/** The edges that messages take: each once, with one self loop at every node; and the part of a graph around some nodes. */
import { type Edges, expect, type Random, sortEdges } from "@unmask/core";
import { type Graph, type GraphSample, isNode, joinGraphs } from "./graph.js";

const looped = new WeakMap<Int32Array, Edges>();

/** The edges of a graph, repeats left out, and one self loop at every node. Remembered for the graph's `from`. */
export function loopedEdges({ from, to, nodes }: Pick<Graph, "from" | "to" | "nodes">): Edges {
  const known = looped.get(from);
  if (known !== undefined && known.targets === nodes) return known;
  const { edges } = sortEdges(from, to, nodes);
  const last = new Int32Array(nodes).fill(-1); // target of the last edge from each node
  const [sources, targets]: [number[], number[]] = [[], []];
  for (let node = 0; node < nodes; node++) {
    last[node] = node;
    for (let e = edges.starts[node]!; e < edges.starts[node + 1]!; e++) {
      const source = edges.from[e]!;
      if (last[source] === node) continue; // a repeat, or a self loop
      last[source] = node;
      sources.push(source);
      targets.push(node);
    }
    sources.push(node);
    targets.push(node);
  }
  const made = sortEdges(Int32Array.from(sources), Int32Array.from(targets), nodes).edges;
  looped.set(from, made);
  return made;
}

/** The edges that go to `nodes`, target i being nodes[i]. */
export function edgesInto(edges: Edges, nodes: Int32Array): Edges {
  const [sources, targets]: [number[], number[]] = [[], []];
  nodes.forEach((node, i) => {
    for (let e = edges.starts[node]!; e < edges.starts[node + 1]!; e++) {
      sources.push(edges.from[e]!);
      targets.push(i);
    }
  });
  return sortEdges(Int32Array.from(sources), Int32Array.from(targets), edges.sources, nodes.length).edges;
}

/** One graph that the samples are of, and where they are in it. */
export interface Joined {
  readonly nodes: number;
  /** [nodes, width] */
  readonly features: Float32Array;
  readonly edges: Edges;
  /** The samples where they are nodes, in their order. */
  readonly wanted?: Int32Array;
  /** Which sample each node belongs to, where samples are graphs. [nodes] */
  readonly graphOf?: Int32Array;
}

/** How much of a graph is taken around nodes that are not all of it. */
export interface Around {
  /** Steps away from the nodes. */
  readonly hops: number;
  /** Neighbours taken of each node at each step, at random. */
  readonly neighbours: number;
  readonly random: Random;
}

/**
 * Samples as one graph. Graphs lie side by side. Nodes lie in their graph: all of it, or with `around`, where they are
 * fewer than the graph has, what is near them.
 */
export function joinSamples(name: string, samples: readonly GraphSample[], around?: Around): Joined {
  expect(samples.length > 0, `${name}: no samples; give at least one graph or node`);
  const nodes = samples.filter(isNode);
  expect(
    nodes.length === 0 || nodes.length === samples.length,
    `${name}: graphs and nodes in one batch; give either`,
  );
  if (nodes.length === 0) {
    const joined = joinGraphs(samples as readonly Graph[]);
    return { ...joined, edges: loopedEdges(joined) };
  }
  const graphs = [...new Set(nodes.map(({ graph }) => graph))];
  const parts = graphs.map((graph) => {
    const own = Int32Array.from(
      nodes.filter((sample) => sample.graph === graph),
      ({ node }) => node,
    );
    const stray = own.find((node) => !(node >= 0 && node < graph.nodes));
    expect(stray === undefined, () => `${name}: node ${stray} of a graph of ${graph.nodes} nodes`);
    const all = around === undefined || new Set(own).size === graph.nodes;
    return all ? { graph, places: own } : neighbourhood(graph, own, around);
  });
  const joined = joinGraphs(parts.map(({ graph }) => graph));
  const wanted = new Int32Array(samples.length);
  const next = new Map(graphs.map((graph) => [graph, 0]));
  const firsts: number[] = [];
  parts.reduce((first, { graph }) => {
    firsts.push(first);
    return first + graph.nodes;
  }, 0);
  nodes.forEach(({ graph }, i) => {
    const part = graphs.indexOf(graph);
    const place = next.get(graph)!;
    next.set(graph, place + 1);
    wanted[i] = firsts[part]! + parts[part]!.places[place]!;
  });
  return { nodes: joined.nodes, features: joined.features, edges: loopedEdges(joined), wanted };
}

/** The graph on the nodes and a sample of those near them, with all edges between nodes taken. */
export function neighbourhood(
  graph: Graph,
  nodes: Int32Array,
  { hops, neighbours, random }: Around,
): { graph: Graph; places: Int32Array } {
  const edges = loopedEdges(graph);
  const place = new Map<number, number>();
  for (const node of nodes) if (!place.has(node)) place.set(node, place.size);
  let frontier = [...place.keys()];
  for (let hop = 0; hop < hops; hop++) {
    const found: number[] = [];
    for (const node of frontier) {
      const incoming = edges.from.subarray(edges.starts[node]!, edges.starts[node + 1]!);
      const chosen =
        incoming.length <= neighbours
          ? incoming
          : random
              .permutation(incoming.length)
              .subarray(0, neighbours)
              .map((i) => incoming[i]!);
      for (const source of chosen)
        if (!place.has(source)) {
          place.set(source, place.size);
          found.push(source);
        }
    }
    frontier = found;
  }
  return {
    graph: inducedGraph(graph, Int32Array.from(place.keys())),
    places: nodes.map((node) => place.get(node)!),
  };
}

/** The graph on some nodes, in the order given, with the edges between them. */
export function inducedGraph(graph: Graph, nodes: Int32Array): Graph {
  const edges = loopedEdges(graph);
  const width = graph.features.length / graph.nodes;
  const place = new Map(Array.from(nodes, (node, i) => [node, i]));
  const features = new Float32Array(nodes.length * width);
  const [from, to]: [number[], number[]] = [[], []];
  nodes.forEach((node, i) => {
    features.set(graph.features.subarray(node * width, (node + 1) * width), i * width);
    for (let e = edges.starts[node]!; e < edges.starts[node + 1]!; e++) {
      const source = place.get(edges.from[e]!);
      if (source === undefined || source === i) continue;
      from.push(source);
      to.push(i);
    }
  });
  const { labels } = graph;
  return {
    ...{ nodes: nodes.length, features, from: Int32Array.from(from), to: Int32Array.from(to) },
    ...(labels && { labels: nodes.map((node) => labels[node]!) }),
  };
}
