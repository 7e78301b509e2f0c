/** One graph from an edge list, from JSON, or from graphology; and embeddings back to graphology. */
import { expect, FormatError } from "@unmask/core";
import type { AbstractGraph, Attributes } from "graphology-types";
import { type FeatureKind, withFeatures } from "./features.js";
import { type NodeData, undirected } from "./graph-data.js";

export interface NetworkOptions {
  /** Attributes of a node that are its features, numbers or lists of them; every number that all nodes have when absent. */
  readonly features?: readonly string[];
  /** Attribute that holds a node's class; "label" or "class" where all labels are known by it, when absent. */
  readonly label?: string;
  /** Features of nodes without attributes. */
  readonly kind?: FeatureKind;
}

const CLASS_NAMES = ["class", "label"];

interface Network {
  readonly names: readonly string[];
  readonly attributes: readonly Readonly<Record<string, unknown>>[];
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Any graphology graph. Undirected edges go both ways; parallel edges count once. */
export function fromGraphology(graph: AbstractGraph, options: NetworkOptions = {}): NodeData {
  const names = graph.nodes();
  const place = new Map(names.map((name, i) => [name, i]));
  const [from, to]: [number[], number[]] = [[], []];
  graph.forEachEdge((_edge, _attributes, source, target, _source, _target, isUndirected) => {
    from.push(place.get(source)!);
    to.push(place.get(target)!);
    if (isUndirected && source !== target) {
      from.push(place.get(target)!);
      to.push(place.get(source)!);
    }
  });
  return nodeData(
    { names, attributes: names.map((name) => graph.getNodeAttributes(name)), from, to },
    options,
  );
}

/** Writes a row of features to each node, as the attribute `embedding` unless told otherwise. */
export function writeEmbeddings(
  graph: AbstractGraph<Attributes>,
  names: readonly string[],
  embeddings: Float32Array,
  attribute = "embedding",
): void {
  const width = embeddings.length / names.length;
  expect(
    Number.isInteger(width) && names.every((name) => graph.hasNode(name)),
    () =>
      `writeEmbeddings: ${embeddings.length} values for ${names.length} nodes of the graph; give the names that fromGraphology returned`,
  );
  names.forEach((name, i) => {
    graph.setNodeAttribute(name, attribute, Array.from(embeddings.subarray(i * width, (i + 1) * width)));
  });
}

/** Pairs of node names, one a line, separated by blanks or commas; `#` and `%` begin comments. Edges go both ways. */
export function parseEdgeList(
  name: string,
  text: string,
  { directed = false, kind }: { directed?: boolean; kind?: FeatureKind } = {},
): NodeData {
  const place = new Map<string, number>();
  const nodeOf = (node: string) => {
    if (!place.has(node)) place.set(node, place.size);
    return place.get(node)!;
  };
  const [from, to]: [number[], number[]] = [[], []];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const content = line.trim();
    if (content === "" || /^[#%]/.test(content)) continue;
    const [source, target] = content.split(/[\s,;]+/);
    if (source === undefined || target === undefined || target === "")
      throw new FormatError(
        `edge list ${name}: line ${i + 1} names one node only: ${content.slice(0, 40)}; give pairs`,
      );
    from.push(nodeOf(source));
    to.push(nodeOf(target));
  }
  if (place.size === 0) throw new FormatError(`edge list ${name}: holds no edges`);
  const nodes = place.size;
  const ends = directed
    ? { from: Int32Array.from(from), to: Int32Array.from(to) }
    : undirected(from, to, nodes);
  return { kind: "nodes", graph: withFeatures([{ nodes, ...ends }], kind)[0]!, names: [...place.keys()] };
}

/** Node-link JSON as NetworkX, D3 and graphology write it: `nodes` with `id` or `key`, `links` or `edges` with `source` and `target`. */
export function parseGraphJson(name: string, text: string, options: NetworkOptions = {}): NodeData {
  const bad = (reason: string) => new FormatError(`graph json ${name}: ${reason}`);
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw bad(`is no JSON (${(error as Error).message})`);
  }
  const list = (...keys: string[]) => {
    const found = keys.map((key) => parsed?.[key]).find(Array.isArray);
    if (found === undefined) throw bad(`has no list ${keys.join(" or ")}`);
    return found as Record<string, unknown>[];
  };
  const nodes = list("nodes");
  const idOf = (node: Record<string, unknown>, i: number) => String(node?.id ?? node?.key ?? i);
  const place = new Map(nodes.map((node, i) => [idOf(node, i), i]));
  if (place.size !== nodes.length) throw bad("two nodes have one id");
  const both =
    parsed.directed !== true && (parsed.options as { type?: string } | undefined)?.type !== "directed";
  const [from, to]: [number[], number[]] = [[], []];
  for (const edge of list("links", "edges")) {
    const ends = [edge?.source, edge?.target].map((end) => place.get(String(end)));
    if (ends[0] === undefined || ends[1] === undefined)
      throw bad(
        `an edge from ${String(edge?.source).slice(0, 40)} to ${String(edge?.target).slice(0, 40)}, of which one is no node`,
      );
    from.push(ends[0]);
    to.push(ends[1]);
    if (both && edge.undirected !== false) {
      from.push(ends[1]);
      to.push(ends[0]);
    }
  }
  const attributes = nodes.map((node) => ({ ...node, ...(node?.attributes as object | undefined) }));
  return nodeData({ names: [...place.keys()], attributes, from, to }, options);
}

function nodeData(
  { names, attributes, from, to }: Network,
  { features, label, kind }: NetworkOptions,
): NodeData {
  const nodes = names.length;
  expect(nodes > 0, "graph: has no nodes");
  const classKey = label ?? CLASS_NAMES.find((key) => attributes.every((own) => own[key] !== undefined));
  const wanted =
    features ??
    Object.keys(attributes[0]!).filter((key) => key !== classKey && key !== "id" && key !== "key");
  const numeric = wanted.filter((key) => attributes.every((own) => isNumbers(own[key], attributes[0]![key])));
  expect(
    features === undefined || numeric.length === features.length,
    () =>
      `graph: not all nodes have numbers as ${wanted.filter((key) => !numeric.includes(key)).join(", ")}; leave it out of features`,
  );
  const bare = {
    ...{ nodes, from: Int32Array.from(from), to: Int32Array.from(to) },
    ...(numeric.length > 0 && {
      attributes: Float32Array.from(
        attributes.flatMap((own) => numeric.flatMap((key) => own[key] as number | number[])),
      ),
    }),
  };
  const [graph] = withFeatures([bare], kind);
  if (classKey === undefined) return { kind: "nodes", graph: graph!, names };
  const known = attributes.map((own) =>
    own[classKey] === undefined || own[classKey] === null ? undefined : String(own[classKey]),
  );
  const classes = [...new Set(known.filter((one) => one !== undefined))].sort();
  const labels = Int32Array.from(known, (one) => (one === undefined ? -1 : classes.indexOf(one)));
  return { kind: "nodes", graph: { ...graph!, labels }, names, classes };
}

/** A number, or a list of as many numbers as the first node has. */
function isNumbers(value: unknown, first: unknown): boolean {
  if (!Array.isArray(value))
    return typeof value === "number" && Number.isFinite(value) && !Array.isArray(first);
  return (
    Array.isArray(first) &&
    value.length === first.length &&
    value.every((one) => typeof one === "number" && Number.isFinite(one))
  );
}
