/**
 * GraphMAE: Self-Supervised Masked Graph Autoencoders. Hou, Liu, Cen, Dong, Yang, Wang, Tang, KDD 2022,
 * https://arxiv.org/abs/2205.10803
 *
 *   loss = 1/|M| sum_{i in M} (1 - cos(x_i, z_i))^gamma,   M: the masked nodes, x features, z what the decoder says
 *
 * Of the masked nodes some show a learned token, some the features of random other nodes, and (both counts being
 * rounded down) a few may show their own. The codes of all masked nodes are zeroed again before a graph decoder.
 * Departures that change no number: a GAT decoder computes masked nodes only, and multiplies after summing. Kept from
 * the reference: a GAT of one layer has no activation; the encoder's graph after dropped edges has its self loops
 * twice where they were not dropped. Not kept: a replaced count of 0 selects every masked node there.
 * Added: mini-batches of nodes with sampled neighbours, of which the nodes of the batch alone are masked and scored.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type Edges,
  type EncodeOptions,
  expect,
  initLinear,
  type LinearParams,
  type Mask,
  type Method,
  maskedFlags,
  maskFromOrders,
  mse,
  parameter,
  type Random,
  restoreRows,
  scaledCosine,
  sortEdges,
  takeRows,
  tokenCosine,
  uniform,
} from "@unmask/core";
import { z } from "zod";
import type { GraphSample } from "../graph.js";
import { applyDecoder, type DecoderKind, type DecoderParams, initDecoder } from "../nn/decoder.js";
import { applyGnn, type GnnKind, type GnnParams, type GnnShape, initGnn } from "../nn/gnn.js";
import { type NodeInput, nodeInput } from "../nn/node-input.js";
import type { GraphActivation, GraphNorm, GraphTraining } from "../nn/parts.js";
import { type GraphPooling, poolNodes } from "../pool.js";
import { edgesInto, type Joined, joinSamples } from "../structure.js";

/** The encoder, which a classifier begins with too. */
export interface EncoderConfig {
  readonly features: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly encoder: GnnKind;
  readonly activation: GraphActivation;
  readonly norm: GraphNorm;
  readonly residual: boolean;
  readonly negativeSlope: number;
  readonly featureDropout: number;
  readonly attentionDropout: number;
  readonly pool: GraphPooling;
  readonly neighbours: number;
}

export interface GraphMaeConfig extends EncoderConfig {
  readonly decoder: DecoderKind;
  readonly concatHidden: boolean;
  readonly maskRatio: number;
  readonly replaceRatio: number;
  readonly dropEdges: number;
  readonly loss: "sce" | "mse";
  readonly gamma: number;
}

const count = z.int().positive();
const share = z.number().min(0).lt(1);

export const encoderKeys = {
  features: count.default(1433).describe("features of a node"),
  width: count.default(512).describe("width of the codes, heads together"),
  depth: count.default(2).describe("layers of the encoder"),
  heads: count.default(4).describe("attention heads of a GAT encoder"),
  encoder: z.enum(["gat", "gin", "gcn"]).default("gat"),
  activation: z.enum(["prelu", "relu", "elu", "gelu", "none"]).default("prelu"),
  norm: z.enum(["none", "layer", "batch"]).default("none").describe("norm of each layer"),
  residual: z.boolean().default(false).describe("each layer adds its input"),
  negativeSlope: share.default(0.2).describe("of the LeakyReLU before a GAT's softmax"),
  featureDropout: share.default(0.2).describe("dropout of the input of each layer"),
  attentionDropout: share.default(0.1).describe("dropout of a GAT's attention weights"),
  pool: z.enum(["mean", "max", "sum"]).default("mean").describe("how nodes become features of a graph"),
  neighbours: count
    .default(15)
    .describe("neighbours of each node that a mini-batch of nodes takes at each layer"),
};

const schema = z.strictObject({
  ...encoderKeys,
  decoder: z.enum(["gat", "gin", "gcn", "mlp", "linear"]).default("gat").describe("one layer of it"),
  concatHidden: z.boolean().default(false).describe("the decoder sees the codes of all layers side by side"),
  maskRatio: z.number().gt(0).lt(1).default(0.5).describe("share of the nodes that are masked"),
  replaceRatio: share.default(0).describe("share of the masked nodes that show another node's features"),
  dropEdges: share.default(0).describe("share of the edges that the encoder does not see"),
  loss: z.enum(["sce", "mse"]).default("sce").describe("scaled cosine error (the paper's), or squared error"),
  gamma: z.number().min(1).default(3).describe("exponent of the scaled cosine error"),
}) satisfies z.ZodType<GraphMaeConfig>;

const graphs = { encoder: "gin", decoder: "gin", norm: "batch", gamma: 1, heads: 2 } as const;

/** The published configurations, by data set; how they are trained stands in docs/methods/graph-mae.md. */
const presets = {
  cora: { features: 1433, replaceRatio: 0.05 },
  citeseer: { features: 3703, heads: 2, replaceRatio: 0.1, gamma: 1 },
  pubmed: { features: 500, width: 1024, maskRatio: 0.75 },
  arxiv: { features: 128, width: 1024, depth: 3, dropEdges: 0.5, norm: "layer" },
  ppi: { features: 50, width: 1024, depth: 3, replaceRatio: 0.1, norm: "layer", residual: true },
  reddit: {
    ...{ features: 602, depth: 4, heads: 2, maskRatio: 0.75, replaceRatio: 0.15 },
    ...{ dropEdges: 0.5, norm: "layer", residual: true },
  },
  "imdb-binary": { ...graphs, features: 136 },
  "imdb-multi": { ...graphs, features: 89, depth: 3 },
  proteins: { ...graphs, features: 3, depth: 3, pool: "max" },
  mutag: {
    ...graphs,
    ...{ features: 7, width: 32, depth: 5, maskRatio: 0.75, replaceRatio: 0.1, gamma: 2, pool: "sum" },
  },
  "reddit-binary": {
    ...graphs,
    ...{ features: 401, norm: "layer", maskRatio: 0.75, replaceRatio: 0.1, gamma: 2, pool: "sum" },
  },
  collab: { ...graphs, features: 401, width: 256, activation: "relu", maskRatio: 0.75, pool: "max" },
  nci1: { ...graphs, features: 37, maskRatio: 0.25, replaceRatio: 0.1, gamma: 2, pool: "sum" },
} satisfies Record<string, Partial<GraphMaeConfig>>;

export interface GraphMaeParams {
  /** [1, F], zero at first */
  readonly enc_mask_token: tf.Variable;
  readonly encoder: GnnParams;
  /** [width, width * layers that it sees], no bias */
  readonly encoder_to_decoder: LinearParams;
  readonly decoder: DecoderParams;
}

/** Which nodes are masked, and what each node shows. */
export interface NodeMasking {
  /** Of one sample, whose tokens are the nodes of all. */
  readonly mask: Mask;
  /** Row of the features that each node shows; -1 where it is the token. [N] */
  readonly shown: Int32Array;
}

export interface GraphMaeBatch extends NodeMasking {
  /** [N, F] */
  readonly features: Float32Array;
  readonly edges: Edges;
  /** What is left for the encoder; the same where no edge is dropped. */
  readonly encoderEdges: Edges;
  /** Of the draws of dropout. */
  readonly seed: number;
}

export function encoderShape(config: EncoderConfig): GnnShape {
  const { encoder: kind, features, width, heads, depth: layers } = config;
  expect(kind !== "gat" || width % heads === 0, `graphs: width ${width} is not a multiple of ${heads} heads`);
  return { ...config, kind, width: features, hidden: width, out: width, layers, encoding: true };
}

function init(config: GraphMaeConfig, random: Random): GraphMaeParams {
  const { features, width, depth, concatHidden } = config;
  const seen = concatHidden ? width * depth : width;
  return {
    enc_mask_token: parameter(tf.zeros([1, features])),
    encoder: initGnn(random, encoderShape(config)),
    encoder_to_decoder: initLinear(random, seen, width, { bias: false, init: uniform(1 / Math.sqrt(seen)) }),
    decoder: initDecoder(random, config),
  };
}

function prepare(config: GraphMaeConfig, samples: readonly GraphSample[], random: Random): GraphMaeBatch {
  const { maskRatio, replaceRatio, depth: hops, neighbours } = config;
  const around = { hops, neighbours, random: random.child("neighbours") };
  const { nodes, features, edges, wanted } = joinSamples("graph-mae", samples, around);
  const candidates = wanted ?? Int32Array.from({ length: nodes }, (_, i) => i);
  const order = random.permutation(candidates.length).map((i) => candidates[i]!);
  const masking = maskNodes(
    nodes,
    {
      order,
      inner: random.permutation(Math.trunc(maskRatio * order.length)),
      sources: random.permutation(nodes),
    },
    { maskRatio, replaceRatio },
  );
  return {
    ...masking,
    features: checkFeatures("graph-mae", config, features, nodes),
    edges,
    encoderEdges: dropEdges(edges, config.dropEdges, random),
    seed: random.int(2 ** 32),
  };
}

/** The draws of a masking: of all candidates, of the masked ones among themselves, and of all nodes. */
export interface MaskingDraws {
  /** Candidates in random order; the first are masked. */
  readonly order: Int32Array;
  /** A random order of the masked: the first show the token, the last another node's features. */
  readonly inner: Int32Array;
  /** Nodes in random order, whose features are shown by others. */
  readonly sources: Int32Array;
}

/** All counts are rounded down, so that a masked node may keep its own features. */
export function maskNodes(
  nodes: number,
  { order, inner, sources }: MaskingDraws,
  { maskRatio, replaceRatio }: Pick<GraphMaeConfig, "maskRatio" | "replaceRatio">,
): NodeMasking {
  const hidden = Math.trunc(maskRatio * order.length);
  expect(
    hidden > 0,
    `graph-mae: maskRatio ${maskRatio} masks none of ${order.length} nodes; use a higher ratio or more nodes`,
  );
  const masked = order.slice(0, hidden);
  const shown = Int32Array.from({ length: nodes }, (_, i) => i);
  const tokens = replaceRatio === 0 ? hidden : Math.trunc((1 - replaceRatio) * hidden);
  const replaced = Math.trunc(replaceRatio * hidden);
  for (let i = 0; i < tokens; i++) shown[masked[inner[i]!]!] = -1;
  for (let i = 0; i < replaced; i++) shown[masked[inner[hidden - replaced + i]!]!] = sources[i]!;
  const isMasked = new Uint8Array(nodes);
  for (const node of masked) isMasked[node] = 1;
  const visible = Int32Array.from({ length: nodes }, (_, i) => i).filter((node) => isMasked[node] === 0);
  return { mask: maskFromOrders(Int32Array.of(...visible, ...masked), 1, visible.length), shown };
}

/** The edges whose draw is not below `rate`, in their order, then a self loop at every node. */
export function keepEdges(
  { from, to }: Pick<Edges, "from" | "to">,
  nodes: number,
  draws: ArrayLike<number>,
  rate: number,
): { from: Int32Array; to: Int32Array } {
  const stays = (_: number, edge: number) => draws[edge]! >= rate;
  const joined = (ends: Int32Array) => {
    const kept = ends.filter(stays);
    const all = new Int32Array(kept.length + nodes);
    all.set(kept);
    for (let node = 0; node < nodes; node++) all[kept.length + node] = node;
    return all;
  };
  return { from: joined(from), to: joined(to) };
}

function dropEdges(edges: Edges, rate: number, random: Random): Edges {
  if (rate === 0) return edges;
  const { from, to } = keepEdges(edges, edges.targets, random.uniforms(edges.to.length), rate);
  return sortEdges(from, to, edges.targets).edges;
}

function checkFeatures(
  name: string,
  { features: width }: EncoderConfig,
  values: Float32Array,
  nodes: number,
): Float32Array {
  expect(
    values.length === nodes * width,
    () =>
      `${name}: nodes have ${values.length / nodes} features, the model takes ${width}; set features to ${values.length / nodes}`,
  );
  return values;
}

function loss(params: GraphMaeParams, config: GraphMaeConfig, batch: GraphMaeBatch) {
  const target = featuresOf(config, batch, batch.mask.masked);
  const prediction = predictMasked(params, config, batch); // [M, F]
  const { gamma } = config;
  return {
    total: config.loss === "mse" ? mse(prediction, target) : scaledCosine(prediction, target, { gamma }),
  };
}

/** True features of nodes. [nodes, F] */
function featuresOf(
  { features: width }: GraphMaeConfig,
  batch: GraphMaeBatch,
  nodes: Int32Array,
): tf.Tensor2D {
  const rows = new Float32Array(nodes.length * width);
  nodes.forEach((node, i) => {
    rows.set(batch.features.subarray(node * width, (node + 1) * width), i * width);
  });
  return tf.tensor2d(rows, [nodes.length, width]);
}

/**
 * Predicted features of the masked nodes, [M, F]. Codes are computed for those nodes alone that the decoder sees: the
 * visible ones where it looks at neighbours, the masked ones where it does not.
 */
function predictMasked(params: GraphMaeParams, config: GraphMaeConfig, batch: GraphMaeBatch): tf.Tensor {
  const { mask } = batch;
  const seen = looksAround(config) ? mask.keep : mask.masked;
  const codes = bridge(params, config, encodeMasked(params, config, batch, seen));
  if (!looksAround(config)) return decode(params, config, batch, codes);
  const blank = tf.zeros([codes.shape[1]!]);
  const all = restoreRows(codes.expandDims(0), blank, mask).squeeze<tf.Tensor2D>([0]); // [N, width]
  return decode(params, config, batch, all, mask.masked);
}

/** Whether the decoder looks at neighbours: it must not see what the encoder made of masked nodes then. */
const looksAround = ({ decoder }: GraphMaeConfig) => decoder !== "mlp" && decoder !== "linear";

/** Features as the encoder sees them: masked nodes show the token or another node. */
export const maskedInput = (
  { enc_mask_token: token }: GraphMaeParams,
  config: GraphMaeConfig,
  { features, shown }: GraphMaeBatch,
): NodeInput => nodeInput(features, config.features, shown, token);

/** What each layer of the encoder makes of the masked graph in training, [N, width] each; or of some nodes of it. */
export function encodeMasked(
  params: GraphMaeParams,
  config: GraphMaeConfig,
  batch: GraphMaeBatch,
  nodes?: Int32Array,
): tf.Tensor[] {
  const { encoder, norm, negativeSlope } = config;
  const { encoderEdges: edges } = batch;
  const alone = nodes !== undefined && encoder === "gat" && norm !== "batch"; // batch norm needs all nodes
  const hidden = applyGnn(params.encoder, encoderShape(config), maskedInput(params, config, batch), {
    ...{ edges, negativeSlope },
    only: alone ? { nodes, edges: edgesInto(edges, nodes) } : undefined,
    training: trainingOf(config, batch.seed),
  });
  if (nodes === undefined) return hidden;
  return hidden.map((h, layer) =>
    alone && layer === hidden.length - 1 ? h : takeRows(h.expandDims(0), nodes).squeeze([0]),
  );
}

/** The codes as the decoder's width has them, before masked nodes are zeroed. [N, width] */
export function bridge(
  params: GraphMaeParams,
  config: GraphMaeConfig,
  hidden: readonly tf.Tensor[],
): tf.Tensor {
  return applyLinear(
    params.encoder_to_decoder,
    config.concatHidden ? tf.concat([...hidden], 1) : hidden.at(-1)!,
  );
}

/** Codes with those of masked nodes zeroed, for decoders that look at neighbours. [N, width] */
export function remask(config: GraphMaeConfig, { mask }: NodeMasking, codes: tf.Tensor): tf.Tensor {
  return looksAround(config)
    ? tf.mul(codes, tf.sub(1, tf.tensor2d(maskedFlags(mask), [mask.tokens, 1])))
    : codes;
}

/** Predicted features of `nodes`, or of all whose codes are given, masked ones zeroed already. [N, width] -> [nodes, F] */
export function decode(
  params: GraphMaeParams,
  config: GraphMaeConfig,
  batch: GraphMaeBatch,
  codes: tf.Tensor,
  nodes?: Int32Array,
): tf.Tensor {
  const { edges, seed } = batch;
  return applyDecoder(params.decoder, config, codes, {
    edges,
    only: nodes && { nodes, edges: config.decoder === "gat" ? edgesInto(edges, nodes) : edges },
    negativeSlope: config.negativeSlope,
    training: trainingOf(config, seed + 2 * config.depth),
  });
}

const trainingOf = ({ featureDropout, attentionDropout }: GraphMaeConfig, seed: number): GraphTraining => ({
  featureDropout,
  attentionDropout,
  seed,
});

function encode(
  params: GraphMaeParams,
  config: GraphMaeConfig,
  samples: readonly GraphSample[],
  { pool }: EncodeOptions = {},
) {
  const joined = joinSamples("graph-mae", samples);
  const codes = codesOf("graph-mae", params.encoder, config, joined);
  return poolNodes("graph-mae", codes, joined, samples.length, pool ?? config.pool);
}

/** Codes of all nodes with nothing masked, as in evaluation unless `training` is given. [N, width] */
export function codesOf(
  name: string,
  encoder: GnnParams,
  config: EncoderConfig,
  { features, nodes, edges }: Joined,
  training?: GraphTraining,
): tf.Tensor {
  const x = nodeInput(checkFeatures(name, config, features, nodes), config.features);
  const { negativeSlope } = config;
  return applyGnn(encoder, encoderShape(config), x, { edges, negativeSlope, training }).at(-1)!;
}

/** What the model says of nodes that it does not see. */
export interface GraphReconstruction {
  /** [M] */
  readonly masked: Int32Array;
  /** [M, F] */
  readonly target: tf.Tensor2D;
  /** [M, F] */
  readonly prediction: tf.Tensor2D;
  /** Cosine of the angle between the two. [M] */
  readonly cosine: tf.Tensor1D;
}

function reconstruct(
  params: GraphMaeParams,
  config: GraphMaeConfig,
  batch: GraphMaeBatch,
): GraphReconstruction {
  const calm = { ...config, featureDropout: 0, attentionDropout: 0 };
  const { masked } = batch.mask;
  const prediction = predictMasked(params, calm, batch) as tf.Tensor2D;
  const target = featuresOf(config, batch, masked);
  const cosine = tf.sub(1, tokenCosine(prediction, target)) as tf.Tensor1D;
  return { masked, target, prediction, cosine };
}

export const graphMae = {
  id: "graph-mae",
  modality: "graph",
  summary: "Masked graph autoencoder: features of masked nodes from their neighbours, scaled cosine error",
  paper: "Hou et al., GraphMAE: Self-Supervised Masked Graph Autoencoders, KDD 2022, arXiv 2205.10803",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<GraphMaeConfig, GraphSample, GraphMaeBatch, GraphMaeParams, GraphReconstruction>;
