/** SCGC's clusters of nodes, beside k-means on the features as they are and on the codes it starts from. */
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type ClusterScores,
  clusterScores,
  type createModel,
  createRandom,
  formatSpread,
  kMeans,
  type Model,
  parseNpy,
  parseSparseNpz,
  type SparseRows,
  spread,
  toInt32,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { clustersOf, type Graph, nodeDataset, readPlanetoid, scgc } from "@unmask/graph";
import type { BenchOptions } from "./graph-nodes.js";
import { pretrained } from "./pretrained.js";

/** The paper's settings of SCGC and SCGC*; acm and dblp are HeCo's files (other papers and features than the paper's), edges by meta-paths. */
export const clusterSets = {
  "scgc-citeseer": { graph: "citeseer", preset: "cite", lr: 1e-4 },
  "scgc-acm": { graph: "acm", preset: "acm", lr: 1e-3 },
  "scgc-dblp": { graph: "dblp", preset: "dblp", lr: 1e-3 },
  "scgc-star-citeseer": { graph: "citeseer", preset: "cite-star", lr: 1e-4 },
  "scgc-star-acm": { graph: "acm", preset: "acm-star", lr: 1e-3 },
  "scgc-star-dblp": { graph: "dblp", preset: "dblp-star", lr: 1e-3 },
} as const;

const EPOCHS = 200;
const TRAINING = {
  optimizer: "adam" as const,
  betas: [0.9, 0.999] as [number, number],
  schedule: "step" as const,
  weightDecay: 0,
  warmupEpochs: 0,
};
const METRICS = ["accuracy", "nmi", "ari", "macroF1"] as const;

interface Result {
  readonly start: ClusterScores;
  readonly last: ClusterScores;
  readonly most: ClusterScores;
}

export async function runClusters(set: keyof typeof clusterSets, options: BenchOptions): Promise<void> {
  const graph = load(set, options.data);
  const width = graph.features.length / graph.nodes;
  const clusters = new Set(graph.labels).size - (graph.labels!.includes(-1) ? 1 : 0);
  console.log(
    `${set}: ${graph.nodes} nodes, ${graph.from.length} directed edges, ${width} features, ${clusters} clusters`,
  );
  await mkdir(options.out, { recursive: true });
  const rawFile = join(options.out, `${set}-raw.json`);
  if (!existsSync(rawFile)) {
    const raw = await kMeans(graph.features, width, { clusters, restarts: 3 }, createRandom(0));
    await writeFileAtomic(rawFile, JSON.stringify(scoresOf(graph, raw.assignment)));
  }
  print(`${set}: k-means on the features`, [JSON.parse(await readFile(rawFile, "utf8")) as ClusterScores]);
  const results: Result[] = [];
  for (let seed = 0; seed < options.seeds && !options.signal.aborted; seed++) {
    const file = join(options.out, `${set}-${seed}.json`);
    if (!existsSync(file)) {
      const result = await once(set, graph, width, clusters, seed, options);
      if (result === undefined) break;
      await writeFileAtomic(file, JSON.stringify(result));
    }
    results.push(JSON.parse(await readFile(file, "utf8")) as Result);
  }
  if (results.length === 0) return;
  print(
    `${set}: k-means on the auto-encoder's codes`,
    results.map(({ start }) => start),
  );
  print(
    `${set}: SCGC, last epoch`,
    results.map(({ last }) => last),
  );
  print(
    `${set}: SCGC, each metric's most over epochs`,
    results.map(({ most }) => most),
  );
}

async function once(
  set: keyof typeof clusterSets,
  graph: Graph,
  features: number,
  clusters: number,
  seed: number,
  { out, signal }: BenchOptions,
): Promise<Result | undefined> {
  const { preset, lr } = clusterSets[set];
  const config = { preset, features, clusters } as const;
  const dataset = nodeDataset({ graph }, { name: set });
  const nodes = await dataset.take(graph.nodes);
  const run = join(out, `${set}-${seed}`);
  const history = `${run}.jsonl`;
  const line = (epoch: number, model: Model) =>
    `${JSON.stringify({ epoch, ...scoresOf(graph, clustersOf(model as unknown as Scgc, nodes)) })}\n`;
  const model = await pretrained(scgc, config, dataset, {
    ...TRAINING,
    ...{ epochs: EPOCHS, lr, batchSize: nodes.length, seed, signal, out: run },
    onBegin: (model) => writeFile(history, line(0, model)),
    onEpoch: ({ epoch }, model) => appendFile(history, line(epoch, model)),
  });
  if (model === undefined) return undefined;
  model.dispose();
  const lines = (await readFile(history, "utf8")).trim().split("\n");
  const scores = lines.map((line) => JSON.parse(line) as ClusterScores);
  const most = Object.fromEntries(
    METRICS.map((metric) => [metric, Math.max(...scores.map((one) => one[metric]))]),
  ) as unknown as ClusterScores;
  return { start: scores[0]!, last: scores.at(-1)!, most };
}

type Scgc = ReturnType<typeof createModel<typeof scgc>>;

function scoresOf(graph: Graph, assignment: Int32Array): ClusterScores {
  const known = Array.from(graph.labels!.keys()).filter((node) => graph.labels![node]! >= 0);
  return clusterScores(
    known.map((node) => graph.labels![node]!),
    known.map((node) => assignment[node]!),
  );
}

function print(name: string, scores: readonly ClusterScores[]): void {
  const shown = METRICS.map(
    (metric) => `${metric} ${formatSpread(spread(scores.map((one) => one[metric])))}`,
  );
  console.log(`${name}: ${shown.join(", ")}`);
}

function load(set: keyof typeof clusterSets, data: string): Graph {
  const name = clusterSets[set].graph;
  if (name === "citeseer")
    return readPlanetoid(join(data, "planetoid"), "citeseer", { normalise: false }).graph;
  const folder = join(data, "heco", name);
  const bytes = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
  const words = parseSparseNpz(bytes(name === "acm" ? "p_feat.npz" : "a_feat.npz"));
  const path = parseSparseNpz(bytes(name === "acm" ? "pap.npz" : "apa.npz"));
  const labels = toInt32(parseNpy(bytes("labels.npy")));
  return { nodes: words.rows, features: dense(words), labels, ...ends(path) };
}

function dense({ rows, columns, starts, indices, values }: SparseRows): Float32Array {
  const all = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let i = starts[row]!; i < starts[row + 1]!; i++) all[row * columns + indices[i]!] = values[i]!;
  return all;
}

function ends({ rows, starts, indices }: SparseRows): { from: Int32Array; to: Int32Array } {
  const from = new Int32Array(indices.length);
  for (let row = 0; row < rows; row++) from.fill(row, starts[row], starts[row + 1]);
  return { from, to: indices };
}
