/** THUDM/GraphMAE: GAT, GIN and GCN encoders and decoders. */

import * as tf from "@tensorflow/tfjs";
import {
  applyBufferUpdates,
  createRandom,
  flatten,
  resolveConfig,
  sortEdges,
  tensorOf,
  trainable,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  bridge,
  decode,
  encodeMasked,
  type GraphMaeBatch,
  graphMae,
  keepEdges,
  maskedInput,
  maskNodes,
  remask,
} from "../../src/methods/graph-mae.js";

const NORMS: Readonly<Record<string, string>> = { layernorm: "layer", batchnorm: "batch" };

/** Their config keys in ours. */
function configOf({ config }: Golden) {
  return resolveConfig(graphMae, {
    features: config.in_dim,
    width: config.num_hidden,
    depth: config.num_layers,
    heads: config.nhead,
    encoder: config.encoder_type,
    decoder: config.decoder_type,
    activation: config.activation ?? "none",
    norm: (NORMS[config.norm] ?? "none") as "none",
    residual: config.residual ?? false,
    concatHidden: config.concat_hidden ?? false,
    negativeSlope: config.negative_slope,
    maskRatio: config.mask_rate,
    replaceRatio: config.replace_rate,
    dropEdges: config.drop_edge_rate ?? 0,
    featureDropout: config.feat_drop ?? 0,
    attentionDropout: config.attn_drop ?? 0,
    loss: config.loss_fn,
    gamma: config.alpha_l,
  });
}

/** Biases right in front of a batch norm, which takes the mean out. */
const BEFORE_NORM = [
  /^(encoder|decoder)\.layers\.\d+\.apply_func\.(mlp\.)?linears\.0\.bias$/,
  /^encoder\.layers\.\d+\.apply_func\.mlp\.linears\.1\.bias$/,
  /^encoder\.gat_layers\.\d+\.bias$/,
];

function run(golden: Golden): GoldenResult {
  const config = configOf(golden);
  const params = graphMae.init(config, createRandom(0));
  writeParameters(params, new Map([...golden.params, ...golden.buffers]));
  const { inputs } = golden;
  const ints = (name: string) => Int32Array.from(tensorOf(given(inputs, name)).dataSync());
  const features = tensorOf(given(inputs, "x")) as tf.Tensor2D;
  const nodes = features.shape[0];
  const all = { from: ints("src"), to: ints("dst") };
  const used = inputs.has("edge_keep_mask") ? keepEdges(all, nodes, ints("edge_keep_mask"), 0.5) : all;
  const order = ints("randperm0");
  const hidden = Math.trunc(config.maskRatio * nodes);
  const inner = inputs.has("randperm1")
    ? ints("randperm1")
    : Int32Array.from({ length: hidden }, (_, i) => i);
  const sources = inputs.has("randperm2") ? ints("randperm2") : new Int32Array(0);
  const masking = maskNodes(nodes, { order, inner, sources }, config);
  const batch: GraphMaeBatch = {
    ...masking,
    features: features.dataSync() as Float32Array,
    edges: sortEdges(all.from, all.to, nodes).edges,
    encoderEdges: sortEdges(used.from, used.to, nodes).edges,
    seed: 0,
  };
  const {
    mask: { masked },
    shown,
  } = masking;
  const layers = encodeMasked(params, config, batch);
  const codes = bridge(params, config, layers);
  const replaced = Math.trunc(config.replaceRatio * hidden);
  const noise = Array.from({ length: replaced }, (_, i) => masked[inner[hidden - replaced + i]!]!);
  const tokens = Array.from(inner, (i) => masked[i]!).filter((node) => shown[node] === -1);
  const outputs = new Map<string, Values>([
    ["encoder_input", maskedInput(params, config, batch).dense()],
    ["enc_rep", layers.at(-1)!],
    ["rep_before_remask", codes],
    ["decoder_input", remask(config, batch, codes)],
    ["recon", decode(params, config, batch, remask(config, batch, codes))],
    ["mask_nodes", masked],
    ["token_nodes", tokens],
    ["noise_nodes", noise],
    ["noise_source", noise.map((node) => shown[node]!)],
    ["use_src", used.from],
    ["use_dst", used.to],
  ]);
  const variables = trainable(params);
  const { value, grads } = applyBufferUpdates(() =>
    tf.variableGrads(() => graphMae.loss(params, config, batch).total, [...variables.values()]),
  );
  outputs.set("total_loss", value);
  const after = flatten(params);
  for (const name of golden.buffers.keys()) outputs.set(`buffers_after.${name}`, after.get(name)!);
  const cancelled = config.norm === "batch" ? [...variables.keys()] : [];
  const vanishing = new Map(
    cancelled
      .filter((path) => BEFORE_NORM.some((pattern) => pattern.test(path)))
      .map((path) => [path, "the batch norm behind it takes the mean out"]),
  );
  return {
    outputs,
    vanishing,
    gradients: new Map([...variables].map(([path, { name }]) => [path, grads[name]!])),
  };
}

export const graphMaeReference: GoldenAdapter = { accepts: ({ method }) => method === "GraphMAE", run };
