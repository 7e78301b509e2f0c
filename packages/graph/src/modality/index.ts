/** Graphs, for tools that know no modality. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type {
  Configured,
  ConfigureRequest,
  Dataset,
  Method,
  ModalityPackage,
  OpenOptions,
  Source,
  TrainSettingsInput,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { type GraphSample, isNode } from "../graph.js";
import { gnn } from "../methods/gnn.js";
import { type GraphReconstruction, graphMae } from "../methods/graph-mae.js";
import { scgc } from "../methods/scgc.js";
import { skeletonClassifier } from "../methods/skeleton-classifier.js";
import { type SkeletonReconstruction, skeletonMae } from "../methods/skeleton-mae.js";
import { configureSkeletons, openSkeletons, rawJoints, writeSkeletons } from "../skeleton/modality.js";
import type { SkeletonSample } from "../skeleton/sample.js";
import { classifierFor, createGraphClassifier } from "./classifier.js";
import { graphDataSchema, openGraphs, rawFeatures } from "./data.js";

/** Nodes up to which an update sees the whole graph. */
const WHOLE = 20_000;
const BATCH = { nodes: 2048, graphs: 32 };

async function configure(request: ConfigureRequest): Promise<Configured> {
  const { method, source, data, given } = request;
  if (ofSkeletons(method)) return configureSkeletons(request);
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
async function training(dataset: Dataset<Sample>): Promise<TrainSettingsInput> {
  const [sample] = await dataset.take(1);
  if (sample !== undefined && isSkeleton(sample)) return SKELETONS;
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

type Sample = GraphSample | SkeletonSample;

const ofSkeletons = ({ id }: Method) => id === skeletonMae.id || id === skeletonClassifier.id;

const isSkeleton = (sample: Sample): sample is SkeletonSample => "positions" in sample;

/** MAMP's optimizer. */
const SKELETONS: TrainSettingsInput = { lr: 1e-3, minLr: 5e-4, weightDecay: 0.05 };

function open(source: Source, options: OpenOptions): Dataset<Sample> {
  return ofSkeletons(options.method) ? openSkeletons(source, options) : openGraphs(source, options);
}

function raw(samples: readonly Sample[]): Float32Array {
  return samples.every(isSkeleton) ? rawJoints(samples) : rawFeatures(samples as readonly GraphSample[]);
}

export const modality: ModalityPackage = {
  name: "graph",
  samples: "samples",
  methods: [graphMae, scgc, skeletonMae, gnn, skeletonClassifier],
  defaultMethod: graphMae.id,
  dataSchema: graphDataSchema,
  configure,
  open,
  training,
  raw: { name: "raw features", features: raw },
  writeReconstruction: (reconstruction: GraphReconstruction | SkeletonReconstruction, path) =>
    "hidden" in reconstruction
      ? writeSkeletons(reconstruction, path)
      : writeReconstruction(reconstruction, path),
  classifierFor,
  createClassifier: createGraphClassifier,
};
