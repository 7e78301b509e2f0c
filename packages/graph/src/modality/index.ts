/** Graphs, for tools that know no modality. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type {
  Configured,
  ConfigureRequest,
  Dataset,
  ModalityPackage,
  TrainSettingsInput,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { type GraphSample, isNode } from "../graph.js";
import { type GraphReconstruction, graphMae } from "../methods/graph-mae.js";
import { scgc } from "../methods/scgc.js";
import { graphDataSchema, openGraphs, rawFeatures } from "./data.js";

/** Nodes up to which an update sees the whole graph. */
const WHOLE = 20_000;
const BATCH = { nodes: 2048, graphs: 32 };

async function configure({ method, source, data, given }: ConfigureRequest): Promise<Configured> {
  const dataset = openGraphs(source, { data });
  const sample = await dataset.get(0);
  const graph = isNode(sample) ? sample.graph : sample;
  const features = graph.features.length / graph.nodes;
  const kinds = isNode(sample)
    ? `one graph of ${graph.nodes} nodes and ${graph.from.length} directed edges`
    : `${dataset.length} graphs`;
  const config: Record<string, unknown> = {};
  if (given.features === undefined) config.features = features;
  if (method.id === scgc.id && given.clusters === undefined && (dataset.classes?.length ?? 0) > 1)
    config.clusters = dataset.classes!.length;
  return { config, notes: [`${kinds}, ${features} features a node`] };
}

/** The paper's optimizer and rates; a graph that is not too large is seen whole. */
async function training(dataset: Dataset<GraphSample>): Promise<TrainSettingsInput> {
  const [sample] = await dataset.take(1);
  const whole = sample !== undefined && isNode(sample) && dataset.length <= WHOLE;
  return {
    batchSize: whole ? dataset.length : sample !== undefined && isNode(sample) ? BATCH.nodes : BATCH.graphs,
    ...{ optimizer: "adam", betas: [0.9, 0.999], lr: 1e-3, weightDecay: 2e-4, warmupEpochs: 0 },
  };
}

/** A line for each masked node: how near the prediction is, and its largest features beside the true ones. */
async function writeReconstruction(
  { masked, target, prediction, cosine }: GraphReconstruction,
  path: string,
): Promise<string[]> {
  const [truth, guess, near] = await Promise.all([target.data(), prediction.data(), cosine.data()]);
  const width = target.shape[1];
  const largest = (values: ArrayLike<number>, row: number) =>
    Array.from({ length: width }, (_, i) => i)
      .filter((i) => values[row * width + i] !== 0)
      .sort((a, b) => values[row * width + b]! - values[row * width + a]!)
      .slice(0, 5)
      .join(" ");
  const rows = Array.from(
    masked,
    (node, i) => `${node},${near[i]!.toFixed(4)},${largest(truth, i)},${largest(guess, i)}\n`,
  );
  const file = `${path}.csv`;
  const head = "node,cosine,largest true features,largest predicted features\n";
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(file, new TextEncoder().encode(head + rows.join("")));
  return [file];
}

export const modality: ModalityPackage = {
  name: "graph",
  samples: "nodes or graphs",
  methods: [graphMae, scgc],
  defaultMethod: graphMae.id,
  dataSchema: graphDataSchema,
  configure,
  open: openGraphs,
  training,
  raw: { name: "raw features", features: rawFeatures },
  writeReconstruction,
};
