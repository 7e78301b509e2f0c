/** Features for graphs that come without: what kind a node is, or how many neighbours it has. */
import { expect } from "@unmask/core";
import type { Graph } from "../graph.js";

/** `attributes`: the numbers of each node; `tags`: its kind, one-hot; `degrees`: its neighbours counted, one-hot. */
export type FeatureKind = "auto" | "attributes" | "tags" | "degrees";

/** A graph as a file has it. */
export interface BareGraph {
  readonly nodes: number;
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Kind of each node, any integers. */
  readonly tags?: ArrayLike<number>;
  /** Numbers of each node, [nodes, width] */
  readonly attributes?: Float32Array;
  readonly labels?: Int32Array;
  readonly label?: number;
}

/** Higher degrees count as this many. */
const MOST_NEIGHBOURS = 400;

/** Gives all graphs features of one kind and width. "auto": attributes, else tags where they differ, else degrees. */
export function withFeatures(graphs: readonly BareGraph[], kind: FeatureKind = "auto"): Graph[] {
  expect(graphs.length > 0, "withFeatures: no graphs; check the file");
  const all = (has: (graph: BareGraph) => unknown) => graphs.every((graph) => has(graph) !== undefined);
  const tags = distinct(graphs.flatMap((graph) => Array.from(graph.tags ?? [])));
  const chosen =
    kind !== "auto"
      ? kind
      : all(({ attributes }) => attributes)
        ? "attributes"
        : all((graph) => graph.tags) && tags.length > 1
          ? "tags"
          : "degrees";
  expect(
    (chosen !== "attributes" || all(({ attributes }) => attributes)) &&
      (chosen !== "tags" || all((g) => g.tags)),
    `withFeatures: the nodes have no ${chosen}; use degrees, or auto`,
  );
  switch (chosen) {
    case "attributes":
      return graphs.map((graph) => finished(graph, graph.attributes!));
    case "tags": {
      const place = new Map(tags.map((tag, i) => [tag, i]));
      return graphs.map((graph) =>
        finished(
          graph,
          oneHot(
            Array.from(graph.tags!, (tag) => place.get(tag)!),
            tags.length,
          ),
        ),
      );
    }
    case "degrees": {
      const degrees = graphs.map(({ nodes, from, to }) => {
        const count = new Int32Array(nodes);
        to.forEach((node, edge) => {
          if (from[edge] !== node) count[node]!++;
        });
        return count.map((degree) => Math.min(degree, MOST_NEIGHBOURS));
      });
      const most = degrees.reduce((top, own) => own.reduce((a, b) => Math.max(a, b), top), 0);
      return graphs.map((graph, i) => finished(graph, oneHot(degrees[i]!, most + 1)));
    }
  }
}

function finished({ nodes, from, to, labels, label }: BareGraph, features: Float32Array): Graph {
  return { nodes, from, to, features, ...(labels && { labels }), ...(label !== undefined && { label }) };
}

function oneHot(places: ArrayLike<number>, width: number): Float32Array {
  const features = new Float32Array(places.length * width);
  for (let node = 0; node < places.length; node++) features[node * width + places[node]!] = 1;
  return features;
}

export const distinct = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);
