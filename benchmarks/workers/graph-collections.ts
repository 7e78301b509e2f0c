/** GraphMAE on collections of small graphs, and ten folds of a support vector machine on its features. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createModel,
  extractFeatures,
  formatSpread,
  type Model,
  pretrain,
  resume,
  spread,
} from "@unmask/core";
import { loadModel, writeFileAtomic } from "@unmask/core/node";
import { type Graph, type GraphsData, graphDataset, graphFolds, graphMae, readGraphs } from "@unmask/graph";
import { inFolder } from "./alternate.js";
import type { BenchOptions } from "./graph-nodes.js";

/** The reference's configs.yml; the model's part stands in the presets. */
export const graphSets = {
  mutag: { folder: "MUTAG", epochs: 20, lr: 5e-4, batchSize: 64, cosine: false, paper: "88.19 +- 1.26" },
  proteins: {
    folder: "PROTEINS",
    epochs: 100,
    lr: 1.5e-4,
    batchSize: 32,
    cosine: false,
    paper: "75.30",
  },
  "imdb-binary": {
    folder: "IMDBBINARY",
    epochs: 60,
    lr: 1.5e-4,
    batchSize: 32,
    cosine: false,
    paper: "75.52",
  },
  nci1: { folder: "NCI1", epochs: 300, lr: 1e-3, batchSize: 16, cosine: true, paper: "80.40" },
} as const;

export async function runGraphs(set: keyof typeof graphSets, options: BenchOptions): Promise<void> {
  const { folder, paper } = graphSets[set];
  const data = readGraphs(join(options.data, "tu_dgcnn", folder)) as GraphsData;
  const width = data.graphs[0]!.features.length / data.graphs[0]!.nodes;
  console.log(
    `${set}: ${data.graphs.length} graphs, ${width} features a node, ${data.classes!.length} classes`,
  );
  const accuracies: number[] = [];
  for (let seed = 0; seed < options.seeds && !options.signal.aborted; seed++) {
    const accuracy = await once(set, data, width, seed, options);
    if (accuracy !== undefined) accuracies.push(accuracy);
  }
  if (accuracies.length > 0) console.log(`${set}: ${formatSpread(spread(accuracies))}; the paper ${paper}`);
  const fresh = createModel(graphMae, { preset: set, features: width }, { seed: 0 }) as never;
  console.log(`${set}: random encoder ${(100 * (await measure(fresh, data))).toFixed(1)}`);
  if (!options.peer) return;
  const again: number[] = [];
  for (const [seed] of accuracies.entries()) {
    const model = await loadModel(join(options.out, `${set}-${seed}`), [graphMae]);
    again.push(await measureByPeer(model as never, data));
    model.dispose();
  }
  console.log(`${set}: in scikit-learn's folds ${again.length > 0 ? formatSpread(spread(again)) : ""}`);
  console.log(
    `${set}: random encoder in scikit-learn's folds ${(100 * (await measureByPeer(fresh, data))).toFixed(1)}`,
  );
}

async function once(
  set: keyof typeof graphSets,
  data: GraphsData,
  features: number,
  seed: number,
  { out, signal }: BenchOptions,
): Promise<number | undefined> {
  const run = join(out, `${set}-${seed}`);
  const file = join(run, "result.json");
  if (existsSync(file)) return (JSON.parse(await readFile(file, "utf8")) as { accuracy: number }).accuracy;
  const { epochs, lr, batchSize, cosine } = graphSets[set];
  const dataset = graphDataset(data.graphs, { name: set, classes: data.classes });
  let model: Model<object, Graph>;
  let events: AsyncGenerator<{ type: string }>;
  if (existsSync(run))
    ({ model, events } = await resume<Graph>(run, { methods: [graphMae], dataset, signal }));
  else {
    await mkdir(out, { recursive: true });
    const fresh = createModel(graphMae, { preset: set, features }, { seed });
    model = fresh as unknown as Model<object, Graph>;
    events = pretrain(fresh, dataset, {
      ...{ optimizer: "adam", betas: [0.9, 0.999], weightDecay: 0, warmupEpochs: 0 },
      ...(cosine ? {} : { schedule: "step" }),
      ...{ epochs, lr, batchSize, seed, out: run, signal, keepCheckpoints: 1 },
    });
  }
  let done = false;
  for await (const event of events) done ||= event.type === "end";
  const accuracy = done ? await measure(model, data) : undefined;
  model.dispose();
  if (accuracy === undefined) return undefined;
  console.log(`${run}: ${(100 * accuracy).toFixed(2)}`);
  await writeFileAtomic(file, JSON.stringify({ accuracy }));
  return accuracy;
}

async function measure(model: Model<object, Graph>, { graphs }: GraphsData): Promise<number> {
  const { features, labels } = await extractFeatures(model, graphDataset(graphs));
  return graphFolds(features, labels!).mean;
}

const script = fileURLToPath(new URL("../peers/graph_folds.py", import.meta.url));

/** The reference's evaluation itself: its library, and the folds that its seed draws. */
async function measureByPeer(model: Model<object, Graph>, { graphs }: GraphsData): Promise<number> {
  const python = process.env.PEERS_PYTHON;
  if (python === undefined) throw new Error("PEERS_PYTHON names no Python that has scikit-learn");
  const found = await extractFeatures(model, graphDataset(graphs));
  return inFolder(async (folder) => {
    const [features, labels] = [join(folder, "features"), join(folder, "labels")];
    await writeFile(features, found.features);
    await writeFile(labels, found.labels!);
    return Number(execFileSync(python, [script, features, labels], { encoding: "utf8" }));
  });
}
