/** GraphMAE on citation graphs, and the linear probe of its features. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createModel,
  formatSpread,
  type Model,
  pretrain,
  resume,
  spread,
  type TrainEvent,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { type Graph, graphDataset, graphMae, type NodeData, nodeProbe, readPlanetoid } from "@unmask/graph";

import { comparePeer } from "./graph-peer.js";

export interface BenchOptions {
  /** Folder of the graphs. */
  readonly data: string;
  readonly out: string;
  readonly seeds: number;
  readonly signal: AbortSignal;
  readonly peer: boolean;
  /** Of the engine; a peer takes as many. */
  readonly threads: number;
  /** Words as they are counted rather than summing to 1. */
  readonly rawWords: boolean;
}

/** The reference's configs.yml; the model's part stands in the presets. */
const train = {
  optimizer: "adam" as const,
  betas: [0.9, 0.999] as [number, number],
  lr: 1e-3,
  warmupEpochs: 0,
  batchSize: 1,
};
export const nodeSets = {
  cora: { epochs: 1500, weightDecay: 2e-4, probe: 1e-4, paper: "84.2 +- 0.4" },
  citeseer: { epochs: 300, weightDecay: 2e-5, probe: 0.01, paper: "73.4 +- 0.4" },
  pubmed: { epochs: 1000, weightDecay: 1e-5, probe: 1e-4, paper: "81.1" },
} as const;

interface NodeResult {
  readonly earlyStopped: number;
  readonly last: number;
  readonly validation: number;
  readonly secondsPerEpoch: number;
}

const read = (set: keyof typeof nodeSets, { data, rawWords }: Pick<BenchOptions, "data" | "rawWords">) =>
  readPlanetoid(join(data, "planetoid"), set, { normalise: !rawWords });

/** Epochs of the published configuration beside plain PyTorch's. */
export function timeGraphMae(
  set: "cora" | "citeseer",
  options: Pick<BenchOptions, "data" | "threads" | "rawWords">,
): void {
  comparePeer(set, read(set, options).graph, nodeSets[set].weightDecay, options);
}

export async function runNodes(set: keyof typeof nodeSets, options: BenchOptions): Promise<void> {
  const data = read(set, options);
  const { graph } = data;
  console.log(`${set}: ${graph.nodes} nodes, ${graph.from.length} directed edges`);
  if (options.peer && set !== "pubmed") comparePeer(set, graph, nodeSets[set].weightDecay, options);
  const results: NodeResult[] = [];
  for (let seed = 0; seed < options.seeds && !options.signal.aborted; seed++) {
    const result = await once(set, data, seed, options);
    if (result !== undefined) results.push(result);
  }
  report(set, results);
  const untrained = probe(createModel(graphMae, { preset: set }, { seed: 0 }) as never, set, data, 0);
  console.log(
    `${set}: random encoder ${percent(untrained.earlyStopped)}, last epoch ${percent(untrained.last)}`,
  );
}

async function once(
  set: keyof typeof nodeSets,
  data: NodeData,
  seed: number,
  { out, signal, rawWords }: BenchOptions,
): Promise<NodeResult | undefined> {
  const run = join(out, `${set}${rawWords ? "-raw" : ""}-${seed}`);
  const file = join(run, "result.json");
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as NodeResult;
  const { epochs, weightDecay } = nodeSets[set];
  const dataset = graphDataset([data.graph], { name: set });
  let model: Model<object, Graph>;
  let events: AsyncGenerator<TrainEvent>;
  if (existsSync(run)) {
    const resumed = await resume<Graph>(run, { methods: [graphMae], dataset, signal });
    ({ model, events } = resumed);
  } else {
    await mkdir(out, { recursive: true });
    const fresh = createModel(graphMae, { preset: set }, { seed });
    model = fresh as unknown as Model<object, Graph>;
    events = pretrain(fresh, dataset, {
      ...train,
      epochs,
      weightDecay,
      seed,
      out: run,
      signal,
      keepCheckpoints: 1,
    });
  }
  let [seconds, done] = [0, false];
  for await (const event of events) {
    if (event.type === "epoch") {
      seconds = event.seconds;
      if (event.epoch % 100 === 0)
        console.log(
          `${run}: epoch ${event.epoch}, loss ${event.loss.toFixed(4)}, ${(seconds / event.epoch).toFixed(3)} s each`,
        );
    } else if (event.type === "end") [done, seconds] = [true, event.seconds];
  }
  const result = done ? { ...probe(model, set, data, seed), secondsPerEpoch: seconds / epochs } : undefined;
  model.dispose();
  if (result === undefined) return undefined;
  console.log(`${run}: early-stopped ${percent(result.earlyStopped)}, last ${percent(result.last)}`);
  await writeFileAtomic(file, JSON.stringify(result));
  return result;
}

function probe(
  model: Model<object, Graph>,
  set: keyof typeof nodeSets,
  { graph, split }: NodeData,
  seed: number,
) {
  const features = model.encode([graph], { pool: "tokens" });
  const scores = nodeProbe(features.dataSync() as Float32Array, graph.labels!, split!, {
    weightDecay: nodeSets[set].probe,
    seed,
  });
  features.dispose();
  return scores;
}

const percent = (share: number) => (100 * share).toFixed(1);

function report(set: keyof typeof nodeSets, results: readonly NodeResult[]): void {
  if (results.length === 0) return;
  const of = (pick: (result: NodeResult) => number) => formatSpread(spread(results.map(pick)));
  console.log(
    `${set}, ${results.length} seeds: early-stopped ${of((r) => r.earlyStopped)}, last epoch ${of((r) => r.last)}; the paper ${nodeSets[set].paper}; ${(
      results.reduce((sum, r) => sum + r.secondsPerEpoch, 0) / results.length
    ).toFixed(3)} s an epoch`,
  );
}
