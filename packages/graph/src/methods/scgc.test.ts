import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { nodeDataset } from "../datasets.js";
import type { Graph } from "../graph.js";
import { clustersOf, scgc, startClusters } from "./scgc.js";

/** Two groups of nodes, joined within and by one edge between them. */
function groups(each: number, random: Random, width = 5): Graph {
  const pairs: [number, number][] = [[0, each]];
  for (let group = 0; group < 2; group++)
    for (let i = 0; i < each; i++) pairs.push([group * each + i, group * each + ((i + 1) % each)]);
  const features = random.normals(2 * each * width).map((v, i) => v + (i < each * width ? 2 : -2));
  return {
    nodes: 2 * each,
    features,
    from: Int32Array.from(pairs, ([from]) => from),
    to: Int32Array.from(pairs, ([, to]) => to),
    labels: Int32Array.from({ length: 2 * each }, (_, i) => (i < each ? 0 : 1)),
  };
}

const config = { features: 5, hidden: [8, 8, 12], codeWidth: 4, clusters: 2, order: 2 } as const;
const nodesOf = (graph: Graph) => Array.from({ length: graph.nodes }, (_, node) => ({ graph, node }));

await contractSuite({
  method: scgc,
  config: { ...config, influence: true, beta: 1 },
  samples: (count, random) => Array.from({ length: count }, (_, i) => groups(3 + i, random)),
  features: 4,
  overfits: 0.9,
  lr: 1e-2,
});

await onEveryEngine("scgc", () => {
  it("finds the clusters again that k-means starts from, one for each node", async () => {
    const graph = groups(8, createRandom(2));
    const model = createModel(scgc, config, { seed: 1 });
    await startClusters(model, nodesOf(graph), { restarts: 3 });
    const found = clustersOf(model, nodesOf(graph));
    const [first, second] = [found.subarray(0, 8), found.subarray(8)];
    expect(new Set(first).size + new Set(second).size).toBe(2);
    expect(first[0]).not.toBe(second[0]);
    model.dispose();
  });

  it.each([true, false])("training starts from clusters of warmed-up codes, decode %s", async (decode) => {
    const graph = groups(8, createRandom(2));
    const given = { ...config, decode, autoEncoderEpochs: 20 };
    const model = createModel(scgc, given, { seed: 1 });
    const before = [model.params.ae.enc_1.weight.dataSync().slice(), tf.memory().numTensors] as const;
    await scgc.begin(model.params, model.config, nodeDataset({ graph }), createRandom(1));
    expect(tf.memory().numTensors).toBe(before[1]);
    expect(model.params.ae.enc_1.weight.dataSync()).not.toEqual(before[0]);
    const found = clustersOf(model, nodesOf(graph));
    const [first, second] = [found.subarray(0, 8), found.subarray(8)];
    expect([new Set(first).size, new Set(second).size, first[0] === second[0]]).toEqual([1, 1, false]);
    model.dispose();
  });

  it("SCGC* has no decoder and no term of it", () => {
    const graph = groups(4, createRandom(2));
    const model = createModel(scgc, { ...config, decode: false }, { seed: 1 });
    const terms = model.loss(model.prepare([graph], createRandom(1)));
    expect(Object.keys(terms).sort()).toEqual(["contrast", "kl", "total"]);
    expect(Object.keys(model.params.ae)).toEqual(["enc_1", "enc_2", "enc_3", "z_layer"]);
    model.dispose();
  });

  it("a mini-batch holds the pairs of its nodes", () => {
    const graph = groups(4, createRandom(2));
    const model = createModel(scgc, { ...config, order: 1 }, { seed: 1 });
    const whole = model.prepare([graph], createRandom(1)).influence.arraySync();
    const part = model.prepare(nodesOf(graph).slice(1, 4), createRandom(1)).influence.arraySync();
    expect(part).toEqual(whole.slice(1, 4).map((row) => row.slice(1, 4)));
    expect(whole.every((row) => Math.abs(row.reduce((sum, v) => sum + v, 0) - 1) < 1e-6)).toBe(true);
    model.dispose();
  });
});

it("says what is wrong with samples", () => {
  const model = createModel(scgc, config);
  const graph = groups(4, createRandom(1), 6);
  expect(() => model.prepare([graph], createRandom(1))).toThrow("set features to 6");
  const lone = { graph: groups(4, createRandom(1)), node: 0 };
  expect(() => model.prepare([lone], createRandom(1))).toThrow("a batch of 1 nodes has no pairs");
  expect(() => model.prepare([{ ...lone, node: 9 }, lone], createRandom(1))).toThrow(
    "node 9 of a graph of 8",
  );
  model.dispose();
});
