/**
 * Planetoid's citation graphs (Yang, Cohen, Salakhutdinov, ICML 2016), files `ind.NAME.*`: 140 to 120 labelled nodes to
 * train on, 500 to choose by and 1000 to test on, the split that most papers use.
 */
import {
  FormatError,
  isRawTensor,
  type NumpyValue,
  parseNumpyPickle,
  type SparseRows,
  toFloat32,
} from "@unmask/core";
import { type NodeData, normaliseRows, undirected } from "./graph-data.js";

export const PLANETOID_PARTS = ["x", "y", "tx", "ty", "allx", "ally", "graph", "test.index"] as const;
export type PlanetoidPart = (typeof PLANETOID_PARTS)[number];

const VALIDATION = 500;

export interface PlanetoidOptions {
  /** Words of a node sum to 1, as every library gives them; true when absent. */
  readonly normalise?: boolean;
}

/**
 * Puts the eight files of a data set together. Nodes that no file describes (Citeseer has some) have zero features and
 * no label. Edges go both ways, each once.
 * @throws FormatError where they do not fit each other
 */
export function parsePlanetoid(
  name: string,
  files: Readonly<Record<PlanetoidPart, Uint8Array>>,
  { normalise = true }: PlanetoidOptions = {},
): NodeData {
  const bad = (reason: string) =>
    new FormatError(`planetoid ${name}: ${reason}; give the files of one data set, as published`);
  const rows = (part: PlanetoidPart): SparseRows => {
    const value = parseNumpyPickle(files[part]);
    if (value === null || typeof value !== "object" || !("starts" in value))
      throw bad(`${part} is no sparse matrix`);
    return value;
  };
  const oneHot = (part: PlanetoidPart): { labels: Int32Array; classes: number } => {
    const value = parseNumpyPickle(files[part]);
    if (!isRawTensor(value as never)) throw bad(`${part} is no array`);
    const { shape } = value as { shape: readonly number[] };
    const [count, classes] = shape as [number, number];
    if (shape.length !== 2) throw bad(`${part} has ${shape.length} axes`);
    const values = toFloat32(value as Parameters<typeof toFloat32>[0]);
    const labels = new Int32Array(count).fill(-1);
    for (let i = 0; i < values.length; i++) if (values[i]! > 0) labels[Math.floor(i / classes)] = i % classes;
    return { labels, classes };
  };

  const [all, held] = [rows("allx"), rows("tx")];
  const [allLabels, heldLabels, trainLabels] = [oneHot("ally"), oneHot("ty"), oneHot("y")];
  const test = testIndex(files["test.index"], bad);
  if (
    all.rows !== allLabels.labels.length ||
    held.rows !== heldLabels.labels.length ||
    held.rows !== test.length
  )
    throw bad(`${all.rows} and ${held.rows} rows of features, labels and test nodes do not fit each other`);
  const width = all.columns;
  if (held.columns !== width) throw bad(`features of ${width} and ${held.columns} columns`);
  const nodes = Math.max(all.rows, test.reduce((most, node) => Math.max(most, node), -1) + 1);
  if (nodes > 2 * (all.rows + held.rows))
    throw bad(`a test node ${nodes - 1} far outside the ${all.rows} others`);

  const features = new Float32Array(nodes * width);
  const labels = new Int32Array(nodes).fill(-1);
  const fill = (matrix: SparseRows, own: Int32Array, nodeOf: (row: number) => number) => {
    for (let row = 0; row < matrix.rows; row++) {
      const node = nodeOf(row);
      for (let i = matrix.starts[row]!; i < matrix.starts[row + 1]!; i++)
        features[node * width + matrix.indices[i]!] = matrix.values[i]!;
      labels[node] = own[row]!;
    }
  };
  fill(all, allLabels.labels, (row) => row);
  fill(held, heldLabels.labels, (row) => test[row]!);
  const trained = trainLabels.labels.length;
  const range = (start: number, end: number) => Int32Array.from({ length: end - start }, (_, i) => start + i);
  return {
    kind: "nodes",
    graph: {
      ...{ nodes, features: normalise ? normaliseRows(features, width) : features, labels },
      ...edgesOf(parseNumpyPickle(files.graph), nodes, bad),
    },
    classes: Array.from({ length: allLabels.classes }, (_, i) => String(i)),
    split: {
      train: range(0, trained),
      validation: range(trained, Math.min(trained + VALIDATION, all.rows)),
      test: Int32Array.from(test).sort(),
    },
  };
}

function testIndex(bytes: Uint8Array, bad: (reason: string) => FormatError): Int32Array {
  const lines = new TextDecoder().decode(bytes).split(/\s+/).filter(Boolean).map(Number);
  if (!lines.every((node) => Number.isInteger(node) && node >= 0 && node < 2 ** 31))
    throw bad("test.index is no list of nodes");
  if (new Set(lines).size !== lines.length) throw bad("test.index names a node twice");
  return Int32Array.from(lines);
}

function edgesOf(lists: NumpyValue, nodes: number, bad: (reason: string) => FormatError) {
  if (!(lists instanceof Map)) throw bad("graph is no dict of lists");
  const [from, to]: [number[], number[]] = [[], []];
  for (const [node, neighbours] of lists) {
    if (!Array.isArray(neighbours)) throw bad("graph is no dict of lists");
    for (const end of [node, ...neighbours])
      if (!Number.isInteger(end) || (end as number) < 0 || (end as number) >= nodes)
        throw bad(`an edge at node ${String(end).slice(0, 20)} of ${nodes}`);
    for (const neighbour of neighbours) {
      from.push(node as number);
      to.push(neighbour as number);
    }
  }
  return undirected(from, to, nodes);
}
