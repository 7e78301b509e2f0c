/**
 * A graph neural network as a classifier of nodes, or of whole graphs: what GraphMAE is fine-tuned as, on its own data or
 * on other data with the same features (transfer). Hou et al., KDD 2022, https://arxiv.org/abs/2205.10803
 *
 *   loss = mean_b -log softmax(head(h_b))_{y_b},   h: the code of a node, or the pooled codes of a graph's nodes
 *
 * The head is one linear map. `frozen` trains it alone, on codes as they are in evaluation.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type Classifier,
  crossEntropy,
  type EncodeOptions,
  expect,
  flatten,
  initLinear,
  type LinearParams,
  type Random,
} from "@unmask/core";
import { z } from "zod";
import { type GraphSample, isNode } from "../graph.js";
import { type GnnParams, initGnn } from "../nn/gnn.js";
import type { GraphTraining } from "../nn/parts.js";
import { poolNodes } from "../pool.js";
import { type Joined, joinSamples } from "../structure.js";
import { codesOf, type EncoderConfig, encoderKeys, encoderShape } from "./graph-mae.js";

export interface GnnConfig extends EncoderConfig {
  readonly classes: number;
  readonly frozen: boolean;
}

const schema = z.strictObject({
  ...encoderKeys,
  classes: z.int().positive().default(2).describe("number of classes"),
  frozen: z.boolean().default(false).describe("train the head alone"),
}) satisfies z.ZodType<GnnConfig>;

export interface GnnClassifierParams {
  readonly encoder: GnnParams;
  readonly head: LinearParams;
}

export interface GnnBatch {
  readonly joined: Joined;
  /** Class of each sample. [B] */
  readonly labels: Int32Array;
  /** Of the draws of dropout. */
  readonly seed: number;
}

function init(config: GnnConfig, random: Random): GnnClassifierParams {
  const encoder = initGnn(random, encoderShape(config));
  if (config.frozen) for (const variable of flatten(encoder).values()) variable.trainable = false;
  return { encoder, head: initLinear(random, config.width, config.classes) };
}

function prepare(config: GnnConfig, samples: readonly GraphSample[], random: Random): GnnBatch {
  const { classes, depth: hops, neighbours } = config;
  const labels = Int32Array.from(samples, (sample, b) => {
    const label = (isNode(sample) ? sample.graph.labels?.[sample.node] : sample.label) ?? -1;
    expect(label >= 0 && label < classes, `gnn: labels must be 0-${classes - 1}, sample ${b} has ${label}`);
    return label;
  });
  const around = { hops, neighbours, random: random.child("neighbours") };
  return { joined: joinSamples("gnn", samples, around), labels, seed: random.int(2 ** 32) };
}

function loss(params: GnnClassifierParams, config: GnnConfig, { joined, labels, seed }: GnnBatch) {
  const { featureDropout, attentionDropout, frozen } = config;
  const training = frozen ? undefined : { featureDropout, attentionDropout, seed };
  return { total: crossEntropy(classify(params, config, joined, labels.length, training), labels) };
}

/** Nodes, or graphs by the config's pooling. [B, classes] */
function classify(
  params: GnnClassifierParams,
  config: GnnConfig,
  joined: Joined,
  samples: number,
  training?: GraphTraining,
): tf.Tensor2D {
  const codes = codesOf("gnn", params.encoder, config, joined, training);
  return applyLinear(params.head, poolNodes("gnn", codes, joined, samples, config.pool)) as tf.Tensor2D;
}

function encode(
  params: GnnClassifierParams,
  config: GnnConfig,
  samples: readonly GraphSample[],
  { pool }: EncodeOptions = {},
) {
  const joined = joinSamples("gnn", samples);
  const codes = codesOf("gnn", params.encoder, config, joined);
  return poolNodes("gnn", codes, joined, samples.length, pool ?? config.pool);
}

const logits = (params: GnnClassifierParams, config: GnnConfig, samples: readonly GraphSample[]) =>
  tf.tidy(() => classify(params, config, joinSamples("gnn", samples), samples.length));

export const gnn = {
  id: "gnn",
  modality: "graph",
  summary: "Classifier of nodes or graphs that GraphMAE is fine-tuned as",
  paper: "Hou et al., GraphMAE: Self-Supervised Masked Graph Autoencoders, KDD 2022, arXiv 2205.10803",
  schema,
  presets: {},
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<GnnConfig, GraphSample, GnnBatch, GnnClassifierParams>;
