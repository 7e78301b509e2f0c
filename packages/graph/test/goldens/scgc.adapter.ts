/** gayanku/SCGC: with decoder and without. */

import * as tf from "@tensorflow/tfjs";
import { bindModel, createRandom, resolveConfig, tensorOf, trainable, writeParameters } from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { between, influenceRows, type NodeRows } from "../../src/influence.js";
import {
  clusterShares,
  cosines,
  decodeNodes,
  divergence,
  encodeNodes,
  neighbourContrast,
  scgc,
  targetShares,
} from "../../src/methods/scgc.js";

/** A dense matrix as rows of its values other than zero. */
function rowsOf(dense: ArrayLike<number>, nodes: number): NodeRows {
  const starts = new Int32Array(nodes + 1);
  const [columns, values]: [number[], number[]] = [[], []];
  for (let row = 0; row < nodes; row++) {
    for (let column = 0; column < nodes; column++) {
      const value = dense[row * nodes + column]!;
      if (value === 0) continue;
      columns.push(column);
      values.push(value);
    }
    starts[row + 1] = values.length;
  }
  return { starts, columns: Int32Array.from(columns), values: Float32Array.from(values) };
}

function run({ config: theirs, params: recorded, inputs }: Golden): GoldenResult {
  const decode = recorded.has("ae.dec_1.weight");
  const config = resolveConfig(scgc, {
    features: theirs.n_input,
    hidden: theirs.hidden,
    codeWidth: theirs.n_z,
    clusters: theirs.clusters,
    decode,
    influence: theirs.cumulative ?? false,
    order: theirs.order,
    tau: theirs.tau,
    alpha: theirs.alpha,
    beta: theirs.beta,
    freedom: theirs.v ?? 1,
  });
  const { params } = bindModel(scgc, config, scgc.init(config, createRandom(0)));
  writeParameters(params, recorded);
  const x = tensorOf(given(inputs, "x"));
  const features = x.dataSync() as Float32Array;
  const nodes = x.shape[0]!;
  const walk = rowsOf(tensorOf(given(inputs, "adj")).dataSync(), nodes);
  const all = Int32Array.from({ length: nodes }, (_, i) => i);
  const reach = between(influenceRows(walk, config.order, config.influence), all);
  const batch = { features, influence: tf.tensor2d(reach, [nodes, nodes]) };
  const codes = encodeNodes(params, config, features);
  const q = clusterShares(params, config, codes);
  const similarity = cosines(codes);
  const outputs = new Map<string, Values>([
    ["z", codes],
    ["q", q],
    ["p", targetShares(q)],
    ["x_dis", similarity],
    ["adj_label", batch.influence],
    ["kl_loss", divergence(targetShares(q), q)],
    ["ncontrast_loss", neighbourContrast(similarity, batch.influence, config.tau)],
    ["total_loss", scgc.loss(params, config, batch).total],
  ]);
  if (decode) {
    const decoded = decodeNodes(params, codes);
    outputs.set("x_bar", decoded).set("re_loss", tf.mean(tf.squaredDifference(decoded, x)));
  }
  const variables = trainable(params);
  const { grads } = tf.variableGrads(() => scgc.loss(params, config, batch).total, [...variables.values()]);
  const p = targetShares(q);
  const cancelling = new Map([["kl_loss", tf.max(tf.abs(tf.mul(p, tf.log(p)))).dataSync()[0]!]]);
  return {
    outputs,
    cancelling,
    gradients: new Map([...variables].map(([path, { name }]) => [path, grads[name]!])),
  };
}

export const scgcReference: GoldenAdapter = { accepts: ({ method }) => method.startsWith("SCGC"), run };
