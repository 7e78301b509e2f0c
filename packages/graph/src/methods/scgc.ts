/**
 * SCGC: Self-Supervised Contrastive Graph Clustering. Kulatilleke, Portmann, Chandra, 2022,
 * https://arxiv.org/abs/2204.12656
 *
 *   loss = alpha * contrast + beta * KL(p || q) + mse(decoded, x)            (SCGC*: without the last)
 *   contrast = mean_i -log( sum_j e_ij g_ij / sum_j e_ij + 1e-8 ),   e_ij = exp(tau * s_ij),
 *   s_ij the cosine of two codes, 0 where i = j;  g = A^order, or the sum of A to A^order with influence
 *
 * The network is an MLP: the graph enters through g alone. q_ij is Student's t between code i and centre j, each row
 * over its sum; p is q^2 over the column's sum, each row over its sum, from the same codes and no gradient. g is no
 * probability (with influence its rows sum to `order`), so that the contrast may be negative.
 * Departures: p is of the batch's nodes where that is not the whole graph; g then holds the pairs of the batch.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  bindModel,
  createRandom,
  type Dataset,
  disposeTree,
  type EncodeOptions,
  expect,
  kMeans,
  type LinearParams,
  type LossTerms,
  type Method,
  type Model,
  mse,
  normal,
  parameter,
  pretrain,
  type Random,
  stopGradient,
  tidy,
} from "@unmask/core";
import { z } from "zod";
import { type GraphSample, isNode } from "../graph.js";
import { between, influenceOf } from "../influence.js";
import { nodeInput } from "../nn/node-input.js";
import { torchLinear } from "../nn/parts.js";
import { poolNodes } from "../pool.js";

export interface ScgcConfig {
  readonly features: number;
  readonly hidden: readonly [number, number, number];
  readonly codeWidth: number;
  readonly clusters: number;
  readonly decode: boolean;
  readonly influence: boolean;
  readonly order: number;
  readonly tau: number;
  readonly alpha: number;
  readonly beta: number;
  readonly freedom: number;
  readonly autoEncoderEpochs: number;
}

const count = z.int().positive();

const schema = z.strictObject({
  features: count.default(3703).describe("features of a node"),
  hidden: z
    .tuple([count, count, count])
    .readonly()
    .default([500, 500, 2000])
    .describe("widths between features and code; the decoder's are the same backwards"),
  codeWidth: count.default(10).describe("width of the codes"),
  clusters: z.int().min(2).default(6).describe("clusters that are looked for"),
  decode: z.boolean().default(true).describe("SCGC, which decodes the features too; false is SCGC*"),
  influence: z
    .boolean()
    .default(false)
    .describe("nodes of all steps up to the last count, each by how often it is met"),
  order: count.default(1).describe("steps of the walk whose nodes are alike"),
  tau: z.number().positive().default(0.25).describe("factor of the cosines (not a divisor)"),
  alpha: z.number().nonnegative().default(1).describe("weight of the contrast"),
  beta: z.number().nonnegative().default(0.1).describe("weight of the clusters' divergence"),
  freedom: z.number().positive().default(1).describe("degrees of freedom of Student's t"),
  autoEncoderEpochs: z
    .int()
    .nonnegative()
    .default(30)
    .describe(
      "epochs of the auto-encoder alone before a run, after which k-means sets the centres; 0 for neither",
    ),
}) satisfies z.ZodType<ScgcConfig>;

const star = { decode: false, influence: true, alpha: 1, beta: 0.1, order: 1, tau: 0.25 } as const;

/** The published settings by data set; those that end in -star are SCGC*. */
const presets = {
  usps: { features: 256, clusters: 10, alpha: 1, beta: 0.1, order: 4, tau: 0.5 },
  hhar: { features: 561, clusters: 6, alpha: 1, beta: 10, order: 4, tau: 2.25 },
  reut: { features: 2000, clusters: 4, alpha: 3, beta: 0.1, order: 3, tau: 1 },
  acm: { features: 1870, clusters: 3, alpha: 0.5, beta: 0.1, order: 2, tau: 0.25 },
  dblp: { features: 334, clusters: 4, alpha: 0.5, beta: 0.1, order: 1, tau: 0.25 },
  cite: { features: 3703, clusters: 6, alpha: 1, beta: 0.1, order: 1, tau: 0.25 },
  "usps-star": { ...star, features: 256, clusters: 10, alpha: 4, order: 4 },
  "hhar-star": { ...star, features: 561, clusters: 6, beta: 10, order: 3, tau: 2.25 },
  "reut-star": { ...star, features: 2000, clusters: 4, alpha: 0.5, order: 3 },
  "acm-star": { ...star, features: 1870, clusters: 3 },
  "dblp-star": { ...star, features: 334, clusters: 4 },
  "cite-star": { ...star, features: 3703, clusters: 6 },
} satisfies Record<string, Partial<ScgcConfig>>;

interface EncoderParams {
  readonly enc_1: LinearParams;
  readonly enc_2: LinearParams;
  readonly enc_3: LinearParams;
  readonly z_layer: LinearParams;
}

interface DecoderParams {
  readonly dec_1: LinearParams;
  readonly dec_2: LinearParams;
  readonly dec_3: LinearParams;
  readonly x_bar_layer: LinearParams;
}

export interface ScgcParams {
  readonly ae: EncoderParams & Partial<DecoderParams>;
  /** [clusters, code] */
  readonly cluster_layer: tf.Variable;
}

export interface ScgcBatch {
  /** [N, F] */
  readonly features: Float32Array;
  /** g, [N, N] */
  readonly influence: tf.Tensor2D;
}

function initDecoder({ features, hidden, codeWidth }: ScgcConfig, random: Random): DecoderParams {
  const [first, second, third] = hidden;
  return {
    dec_1: torchLinear(random, codeWidth, third),
    dec_2: torchLinear(random, third, second),
    dec_3: torchLinear(random, second, first),
    x_bar_layer: torchLinear(random, first, features),
  };
}

function init(config: ScgcConfig, random: Random): ScgcParams {
  const { features, hidden, codeWidth, clusters, decode } = config;
  const [first, second, third] = hidden;
  const encoder = {
    enc_1: torchLinear(random, features, first),
    enc_2: torchLinear(random, first, second),
    enc_3: torchLinear(random, second, third),
    z_layer: torchLinear(random, third, codeWidth),
  };
  const deviation = Math.sqrt(2 / (clusters + codeWidth)); // xavier's
  return {
    ae: decode ? { ...encoder, ...initDecoder(config, random) } : encoder,
    cluster_layer: parameter(normal(deviation)([clusters, codeWidth], random)),
  };
}

function prepare(config: ScgcConfig, samples: readonly GraphSample[], _random: Random): ScgcBatch {
  const parts = partsOf(samples);
  const nodes = parts.reduce((sum, part) => sum + part.nodes.length, 0);
  expect(nodes > 1, `scgc: a batch of ${nodes} nodes has no pairs; give more`);
  const influence = new Float32Array(nodes * nodes);
  let first = 0;
  for (const { graph, nodes: own } of parts) {
    const block = between(influenceOf(graph, config.order, config.influence), own);
    own.forEach((_, row) => {
      influence.set(block.subarray(row * own.length, (row + 1) * own.length), (first + row) * nodes + first);
    });
    first += own.length;
  }
  return { features: featuresOf(config, parts), influence: tf.tensor2d(influence, [nodes, nodes]) };
}

interface Part {
  readonly graph: Exclude<GraphSample, { node: number }>;
  readonly nodes: Int32Array;
}

/** The nodes of the samples in ascending order, graph by graph; a node that is given twice counts once. */
function partsOf(samples: readonly GraphSample[]): Part[] {
  const byGraph = new Map<Part["graph"], Set<number> | "all">();
  for (const sample of samples) {
    if (!isNode(sample)) byGraph.set(sample, "all");
    else {
      const own = byGraph.get(sample.graph) ?? new Set<number>();
      if (own !== "all") byGraph.set(sample.graph, own.add(sample.node));
    }
  }
  return [...byGraph].map(([graph, nodes]) => {
    if (nodes === "all") return { graph, nodes: Int32Array.from({ length: graph.nodes }, (_, i) => i) };
    const stray = [...nodes].find((node) => !(node >= 0 && node < graph.nodes));
    expect(stray === undefined, () => `scgc: node ${stray} of a graph of ${graph.nodes} nodes`);
    return { graph, nodes: Int32Array.from(nodes).sort() };
  });
}

function featuresOf({ features: width }: ScgcConfig, parts: readonly Part[]): Float32Array {
  for (const { graph } of parts)
    expect(
      graph.features.length === graph.nodes * width,
      () =>
        `scgc: nodes have ${graph.features.length / graph.nodes} features, the model takes ${width}; set features to ${graph.features.length / graph.nodes}`,
    );
  const [only] = parts;
  if (
    parts.length === 1 &&
    only!.nodes.every((node, i) => node === i) &&
    only!.nodes.length === only!.graph.nodes
  )
    return only!.graph.features;
  const rows = new Float32Array(parts.reduce((sum, { nodes }) => sum + nodes.length, 0) * width);
  let at = 0;
  for (const { graph, nodes } of parts)
    for (const node of nodes) {
      rows.set(graph.features.subarray(node * width, (node + 1) * width), at);
      at += width;
    }
  return rows;
}

function loss(params: ScgcParams, config: ScgcConfig, { features, influence }: ScgcBatch): LossTerms {
  const codes = encodeNodes(params, config, features); // [N, D]
  const q = clusterShares(params, config, codes);
  const kl = divergence(targetShares(stopGradient(q)), q);
  const contrast = neighbourContrast(cosines(codes), influence, config.tau);
  const clustering = tf.add(tf.mul(contrast, config.alpha), tf.mul(kl, config.beta)) as tf.Scalar;
  if (!config.decode) return { total: clustering, contrast, kl };
  const x = tf.tensor2d(features, [codes.shape[0]!, config.features]);
  const reconstruction = mse(decodeNodes(params, codes), x);
  return { total: tf.add(clustering, reconstruction) as tf.Scalar, contrast, kl, reconstruction };
}

const RELU = { activation: "relu" } as const;

/** [N, F] -> [N, D] */
export function encodeNodes(
  { ae }: ScgcParams,
  { features: width }: ScgcConfig,
  features: Float32Array,
): tf.Tensor {
  const first = tf.relu(tf.add(nodeInput(features, width).product(ae.enc_1.weight), ae.enc_1.bias!));
  return applyLinear(ae.z_layer, applyLinear(ae.enc_3, applyLinear(ae.enc_2, first, RELU), RELU));
}

/** [N, D] -> [N, F] */
export function decodeNodes({ ae }: ScgcParams, codes: tf.Tensor): tf.Tensor {
  const { dec_1, dec_2, dec_3, x_bar_layer } = ae as DecoderParams;
  const hidden = [dec_1, dec_2, dec_3].reduce((h, layer) => applyLinear(layer, h, RELU), codes);
  return applyLinear(x_bar_layer, hidden);
}

/** q: how much each node belongs to each cluster; rows sum to 1. [N, D] -> [N, clusters] */
export function clusterShares(
  { cluster_layer: centres }: ScgcParams,
  { freedom }: ScgcConfig,
  codes: tf.Tensor,
): tf.Tensor {
  const distance = tf.sum(tf.square(tf.sub(codes.expandDims(1), tf.expandDims(centres, 0))), 2); // [N, K]
  const closeness = tf.pow(tf.add(tf.div(distance, freedom), 1), -(freedom + 1) / 2);
  return tf.div(closeness, tf.sum(closeness, 1, true));
}

/** p: the shares sharpened, large clusters held back. [N, K] -> [N, K] */
export function targetShares(q: tf.Tensor): tf.Tensor {
  const weights = tf.div(tf.square(q), tf.sum(q, 0));
  return tf.div(weights, tf.sum(weights, 1, true));
}

/** KL(p || q), summed over clusters, mean over nodes. */
export function divergence(p: tf.Tensor, q: tf.Tensor): tf.Scalar {
  const terms = tf.mul(p, tf.sub(tf.log(p), tf.log(q)));
  return tf.div(tf.sum(terms), p.shape[0]!) as tf.Scalar;
}

/** Cosines of all pairs of codes, 0 of a code with itself. [N, D] -> [N, N] */
export function cosines(codes: tf.Tensor): tf.Tensor2D {
  // The reference has no epsilon: a code of zeros gives NaN there.
  const unit = tf.div(codes, tf.sqrt(tf.maximum(tf.sum(tf.square(codes), 1, true), 1e-24))) as tf.Tensor2D;
  const all = tf.matMul(unit, unit, false, true);
  return tf.mul(all, tf.sub(1, tf.eye(codes.shape[0]!))) as tf.Tensor2D;
}

/** The contrast: pairs that the walk joins against all pairs. */
export function neighbourContrast(similarity: tf.Tensor2D, influence: tf.Tensor2D, tau: number): tf.Scalar {
  const powers = tf.exp(tf.mul(similarity, tau));
  const near = tf.sum(tf.mul(powers, influence), 1);
  return tf.neg(tf.mean(tf.log(tf.add(tf.div(near, tf.sum(powers, 1)), 1e-8)))) as tf.Scalar;
}

function encode(
  params: ScgcParams,
  config: ScgcConfig,
  samples: readonly GraphSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  if (samples.some(isNode)) {
    expect(samples.every(isNode), "scgc: graphs and nodes in one batch; give either");
    const parts = samples.flatMap((sample) => (isNode(sample) ? partsOf([sample]) : []));
    return encodeNodes(params, config, featuresOf(config, parts));
  }
  const parts = partsOf(samples);
  const nodes = parts.reduce((sum, part) => sum + part.nodes.length, 0);
  const graphOf = Int32Array.from(parts.flatMap((part, i) => Array.from(part.nodes, () => i)));
  const codes = encodeNodes(params, config, featuresOf(config, parts));
  return poolNodes("scgc", codes, { nodes, graphOf }, parts.length, pool);
}

/** The auto-encoder is trained alone as SDCN's was, in batches of 256 by Adam at 1e-3; then k-means sets the centres. */
async function begin(
  params: ScgcParams,
  config: ScgcConfig,
  dataset: Dataset<GraphSample>,
  random: Random,
): Promise<void> {
  if (config.autoEncoderEpochs === 0) return;
  const decoder = config.decode ? undefined : tidy(() => initDecoder(config, random)); // SCGC*: for the warm-up alone
  const alone = { ...config, decode: true, alpha: 0, beta: 0, autoEncoderEpochs: 0 };
  const model = bindModel(scgc, alone, { ...params, ae: { ...params.ae, ...decoder } });
  for await (const _ of pretrain(model, dataset, {
    ...{ epochs: config.autoEncoderEpochs, batchSize: 256, lr: 1e-3, schedule: "step", warmupEpochs: 0 },
    ...{ optimizer: "adam", betas: [0.9, 0.999], weightDecay: 0, seed: random.int(2 ** 31) },
  }));
  disposeTree(decoder ?? {});
  const samples = await dataset.take(dataset.length);
  if (samples.every(isNode)) await startClusters(model, samples, { seed: random.int(2 ** 31) });
}

/** Puts the centres where k-means finds the clusters of the codes: what comes before training. */
export async function startClusters(
  {
    params,
    config,
    encode: codesOf,
  }: Pick<Model<ScgcConfig, GraphSample, ScgcBatch, ScgcParams>, "params" | "config" | "encode">,
  nodes: readonly GraphSample[],
  { restarts = 20, seed = 0 }: { readonly restarts?: number; readonly seed?: number } = {},
): Promise<void> {
  expect(nodes.every(isNode), "startClusters: expected nodes; give the samples of a nodeDataset");
  const codes = codesOf(nodes);
  const values = (await codes.data()) as Float32Array;
  codes.dispose();
  const { clusters, codeWidth } = config;
  const { centroids } = await kMeans(
    values,
    codeWidth,
    { clusters, restarts },
    createRandom(seed).child("centres"),
  );
  tf.tidy(() => params.cluster_layer.assign(tf.tensor2d(centroids, [clusters, codeWidth])));
}

/** The cluster of each node: that with the largest share. */
export function clustersOf(
  {
    params,
    config,
    encode: codesOf,
  }: Pick<Model<ScgcConfig, GraphSample, ScgcBatch, ScgcParams>, "params" | "config" | "encode">,
  nodes: readonly GraphSample[],
): Int32Array {
  return tf.tidy(() =>
    Int32Array.from(tf.argMax(clusterShares(params, config, codesOf(nodes)), 1).dataSync()),
  );
}

export const scgc = {
  id: "scgc",
  modality: "graph",
  summary:
    "Contrastive graph clustering: an MLP whose codes are alike where a short walk leads, clusters refined",
  paper:
    "Kulatilleke, Portmann, Chandra, SCGC: Self-Supervised Contrastive Graph Clustering, 2022, arXiv 2204.12656",
  schema,
  presets,
  init,
  prepare,
  begin,
  loss,
  encode,
} satisfies Method<ScgcConfig, GraphSample, ScgcBatch, ScgcParams>;
