/** SCGC's clusters of nodes, beside k-means on the features as they are and on the codes it starts from. */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import {
  adam,
  type ClusterScores,
  clusterScores,
  createModel,
  createRandom,
  decayAll,
  disposeAll,
  formatSpread,
  kMeans,
  parseNpy,
  parseSparseNpz,
  readParameters,
  type SparseRows,
  spread,
  toInt32,
  trainable,
  writeParameters,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { clustersOf, type Graph, readPlanetoid, scgc, startClusters } from "@unmask/graph";
import type { BenchOptions } from "./graph-nodes.js";

/** The paper's settings; acm and dblp are HeCo's files (other papers and features than the paper's), edges by meta-paths. */
export const clusterSets = {
  "scgc-citeseer": { preset: "cite", lr: 1e-4 },
  "scgc-acm": { preset: "acm", lr: 1e-3 },
  "scgc-dblp": { preset: "dblp", lr: 1e-3 },
} as const;

const EPOCHS = 200;
const WARMUP = 30; // epochs of the auto-encoder alone, in batches of 256 by Adam at 1e-3, as SDCN's was trained
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
  const raw = await kMeans(graph.features, width, { clusters, restarts: 3 }, createRandom(0));
  print(`${set}: k-means on the features`, [scoresOf(graph, raw.assignment)]);
  const results: Result[] = [];
  for (let seed = 0; seed < options.seeds && !options.signal.aborted; seed++) {
    const file = join(options.out, `${set}-${seed}.json`);
    if (!existsSync(file)) {
      await mkdir(options.out, { recursive: true });
      await writeFileAtomic(file, JSON.stringify(await once(set, graph, width, clusters, seed)));
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
): Promise<Result> {
  const { preset, lr } = clusterSets[set];
  const config = { preset, features, clusters } as const;
  const warm = createModel(scgc, { ...config, alpha: 0, beta: 0 }, { seed });
  const nodes = Array.from({ length: graph.nodes }, (_, node) => ({ graph, node }));
  await descend(warm, nodes, { epochs: WARMUP, lr: 1e-3, batch: 256, seed });
  const model = createModel(scgc, config, { seed });
  writeParameters(model.params, await readParameters(warm.params));
  warm.dispose();
  await startClusters(model, nodes, { seed });
  const start = scoresOf(graph, clustersOf(model, nodes));
  let last = start;
  const most: Record<(typeof METRICS)[number], number> = { ...start };
  await descend(model, nodes, { epochs: EPOCHS, lr, batch: nodes.length, seed }, () => {
    last = scoresOf(graph, clustersOf(model, nodes));
    for (const metric of METRICS) most[metric] = Math.max(most[metric], last[metric]);
  });
  model.dispose();
  return { start, last, most };
}

type Scgc = ReturnType<typeof createModel<typeof scgc>>;

async function descend(
  model: Scgc,
  nodes: readonly { graph: Graph; node: number }[],
  { epochs, lr, batch: size, seed }: { epochs: number; lr: number; batch: number; seed: number },
  onEpoch: () => void = () => undefined,
): Promise<void> {
  const params = trainable(model.params);
  const optimizer = adam({ rules: decayAll(0), betas: [0.9, 0.999] });
  const random = createRandom(seed).child("order");
  const whole = size >= nodes.length ? model.prepare(nodes, random) : undefined;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = random.child(epoch).permutation(nodes.length);
    for (let at = 0; at + size <= nodes.length; at += size) {
      const batch =
        whole ??
        model.prepare(
          Array.from(order.subarray(at, at + size), (i) => nodes[i]!),
          random,
        );
      const { value, grads } = tf.variableGrads(
        () => scgc.loss(model.params, model.config, batch).total,
        [...params.values()],
      );
      const gradients = [...params].flatMap(([path, { name }]) =>
        grads[name] == null ? [] : [[path, grads[name]!] as const],
      );
      optimizer.step(params, new Map(gradients), { lr });
      disposeAll([value, grads, batch === whole ? [] : batch]);
    }
    onEpoch();
    await new Promise((resolve) => setImmediate(resolve));
  }
  optimizer.dispose();
  disposeAll(whole ?? []);
}

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
  if (set === "scgc-citeseer")
    return readPlanetoid(join(data, "planetoid"), "citeseer", { normalise: false }).graph;
  const folder = join(data, "heco", set === "scgc-acm" ? "acm" : "dblp");
  const bytes = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
  const words = parseSparseNpz(bytes(set === "scgc-acm" ? "p_feat.npz" : "a_feat.npz"));
  const path = parseSparseNpz(bytes(set === "scgc-acm" ? "pap.npz" : "apa.npz"));
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
