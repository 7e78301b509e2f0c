/** Collections of small graphs as text: the TU benchmarks' own files, and the one file a set of DGCNN. */
import { FormatError } from "@unmask/core";
import { type BareGraph, distinct, type FeatureKind, withFeatures } from "./features.js";
import { type GraphsData, undirected } from "./graph-data.js";

/** The files of a TU data set without its name: `A`, `graph_indicator`, `graph_labels`, `node_labels`, `node_attributes`. */
export interface TuFiles {
  readonly A: string;
  readonly graph_indicator: string;
  readonly graph_labels?: string;
  readonly node_labels?: string;
  readonly node_attributes?: string;
}

const lines = (text: string) => text.split(/\r?\n/).filter((line) => line.trim() !== "");

function integers(what: string, text: string): Int32Array {
  return Int32Array.from(lines(text), (line, i) => {
    const value = Number(line.split(",")[0]);
    if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 31)
      throw new FormatError(`${what}: line ${i + 1} is no integer: ${line.slice(0, 40)}`);
    return value;
  });
}

/** @throws FormatError where the files do not fit each other */
export function parseTu(name: string, files: TuFiles, features?: FeatureKind): GraphsData {
  const bad = (reason: string) => new FormatError(`tu ${name}: ${reason}; give the files of one data set`);
  const graphOf = integers(`tu ${name}: graph_indicator`, files.graph_indicator).map((graph) => graph - 1);
  const nodes = graphOf.length;
  if (nodes === 0) throw bad("no nodes");
  const ids = distinct([...graphOf]);
  const count = ids.length;
  if (ids[0] !== 0 || ids[count - 1] !== count - 1) throw bad("graphs are not numbered from 1 without a gap");
  const firsts = new Int32Array(count).fill(nodes);
  const sizes = new Int32Array(count);
  graphOf.forEach((graph, node) => {
    firsts[graph] = Math.min(firsts[graph]!, node);
    sizes[graph]!++;
  });
  const ends = Array.from({ length: count }, (): [number[], number[]] => [[], []]);
  for (const [i, line] of lines(files.A).entries()) {
    const [from, to] = line.split(",").map((part) => Number(part) - 1) as [number, number];
    const within = [from, to].every((node) => Number.isInteger(node) && node >= 0 && node < nodes);
    if (!within || graphOf[from] !== graphOf[to])
      throw bad(`line ${i + 1} of A is no edge within a graph: ${line.slice(0, 40)}`);
    const graph = graphOf[from]!;
    ends[graph]![0].push(from - firsts[graph]!);
    ends[graph]![1].push(to - firsts[graph]!);
  }
  const perNode = (what: "node_labels") => {
    const text = files[what];
    if (text === undefined) return undefined;
    const values = integers(`tu ${name}: ${what}`, text);
    if (values.length !== nodes) throw bad(`${values.length} ${what} for ${nodes} nodes`);
    return values;
  };
  const tags = perNode("node_labels");
  const attributes =
    files.node_attributes === undefined ? undefined : numbers(files.node_attributes, nodes, bad);
  const labels =
    files.graph_labels === undefined ? undefined : integers(`tu ${name}: graph_labels`, files.graph_labels);
  if (labels !== undefined && labels.length !== count)
    throw bad(`${labels.length} graph_labels for ${count} graphs`);
  const bare = ends.map(([from, to], graph): BareGraph => {
    const [first, size] = [firsts[graph]!, sizes[graph]!];
    const width = attributes === undefined ? 0 : attributes.length / nodes;
    return {
      ...{ nodes: size, ...undirected(from, to, size) },
      ...(tags && { tags: tags.subarray(first, first + size) }),
      ...(attributes && { attributes: attributes.slice(first * width, (first + size) * width) }),
      ...(labels && { label: labels[graph]! }),
    };
  });
  return collection(bare, features);
}

function numbers(text: string, nodes: number, bad: (reason: string) => FormatError): Float32Array {
  const rows = lines(text).map((line) => line.split(",").map(Number));
  const width = rows[0]?.length ?? 0;
  if (rows.length !== nodes || rows.some((row) => row.length !== width || !row.every(Number.isFinite)))
    throw bad(`node_attributes are not ${width} numbers for each of ${nodes} nodes`);
  return Float32Array.from(rows.flat());
}

/**
 * One file: the number of graphs; of each graph its nodes and label, then a line a node: tag, number of neighbours, and
 * the neighbours counted from 0.
 * @throws FormatError where the numbers do not fit each other
 */
export function parseDgcnn(name: string, text: string, features?: FeatureKind): GraphsData {
  const rows = lines(text);
  let at = 0;
  const next = (what: string): number[] => {
    const row = rows[at++]?.trim().split(/\s+/).map(Number);
    if (row === undefined || !row.slice(0, 2).every(Number.isFinite))
      throw new FormatError(
        `dgcnn ${name}: line ${at} should be ${what}; the file is damaged or of another format`,
      );
    return row;
  };
  const [count] = next("the number of graphs") as [number];
  const bare: BareGraph[] = [];
  for (let graph = 0; graph < count; graph++) {
    const [nodes, label] = next("the size and label of a graph") as [number, number];
    const [from, to, tags]: [number[], number[], number[]] = [[], [], []];
    for (let node = 0; node < nodes; node++) {
      const [tag, degree, ...neighbours] = next("tag, degree and neighbours of a node") as [number, number];
      const own = neighbours.slice(0, degree) as number[];
      if (
        own.length !== degree ||
        own.some((other) => !(Number.isInteger(other) && other >= 0 && other < nodes))
      )
        throw new FormatError(
          `dgcnn ${name}: line ${at} has ${neighbours.length} neighbours for ${degree}, or one outside its graph`,
        );
      tags.push(tag);
      for (const other of own) {
        from.push(other);
        to.push(node);
      }
    }
    bare.push({ nodes, label, tags, ...undirected(from, to, nodes) });
  }
  return collection(bare, features);
}

function collection(bare: readonly BareGraph[], features?: FeatureKind): GraphsData {
  const graphs = withFeatures(bare, features);
  if (graphs.some(({ label }) => label === undefined)) return { kind: "graphs", graphs };
  const values = distinct(graphs.map(({ label }) => label!));
  return {
    kind: "graphs",
    graphs: graphs.map((graph) => ({ ...graph, label: values.indexOf(graph.label!) })),
    classes: values.map(String),
  };
}
