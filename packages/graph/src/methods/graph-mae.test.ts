import type * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, disposeAll, tidy } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { ring } from "../../test/ring.js";
import type { Graph } from "../graph.js";
import { graphMae, maskNodes } from "./graph-mae.js";

const config = { features: 6, width: 8, heads: 2, maskRatio: 0.5, replaceRatio: 0.2, gamma: 2 } as const;

await contractSuite({
  method: graphMae,
  config: { ...config, featureDropout: 0, attentionDropout: 0 },
  samples: (count, random) => Array.from({ length: count }, (_, i) => ring(7 + i, random)),
  features: 8,
  overfits: 0.6,
  lr: 1e-2,
  unreached: { "decoder.gat_layers.0.attn_r": "the codes of the nodes that it scores are zeroed" },
});

const graph = ring(12, createRandom(1));
const rows = (tensor: tf.Tensor) => {
  const values = tensor.arraySync() as number[][];
  tensor.dispose();
  return values;
};
const nodesOf = (of: Graph) => Array.from({ length: of.nodes }, (_, node) => ({ graph: of, node }));

/** The same graph, node i being node order[i] of the other. */
function permuted(of: Graph, order: Int32Array): Graph {
  const width = of.features.length / of.nodes;
  const place = new Int32Array(of.nodes);
  order.forEach((node, i) => {
    place[node] = i;
  });
  const features = Float32Array.from(
    of.features,
    (_, i) => of.features[order[Math.floor(i / width)]! * width + (i % width)]!,
  );
  return { nodes: of.nodes, features, from: of.from.map((n) => place[n]!), to: of.to.map((n) => place[n]!) };
}

function expectClose(actual: readonly number[][], wanted: readonly number[][]) {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((row, i) => {
    row.forEach((value, j) => {
      expect(Math.abs(value - wanted[i]![j]!)).toBeLessThan(1e-5);
    });
  });
}

await onEveryEngine("graph-mae", () => {
  it.each(["gat", "gin", "gcn"] as const)(
    "%s: codes move with their nodes, and those of a graph stay",
    (encoder) => {
      const model = createModel(graphMae, { ...config, encoder, norm: "batch" }, { seed: 4 });
      const order = createRandom(9).permutation(graph.nodes);
      const other = permuted(graph, order);
      const codes = rows(model.encode(nodesOf(graph)));
      expectClose(
        rows(model.encode(nodesOf(other))),
        Array.from(order, (node) => codes[node]!),
      );
      expectClose(rows(model.encode([other])), rows(model.encode([graph])));
      model.dispose();
    },
  );

  it("takes an edge given twice once, and a self loop as given", () => {
    const model = createModel(graphMae, config, { seed: 4 });
    const doubled = {
      ...graph,
      from: Int32Array.of(...graph.from, ...graph.from, 3),
      to: Int32Array.of(...graph.to, ...graph.to, 3),
    };
    expectClose(rows(model.encode(nodesOf(doubled))), rows(model.encode(nodesOf(graph))));
    model.dispose();
  });

  it("codes an isolated node by itself", () => {
    const model = createModel(graphMae, config, { seed: 4 });
    const features = new Float32Array(13 * 6);
    features.set(graph.features);
    features.fill(0.5, 12 * 6);
    const codes = rows(model.encode(nodesOf({ ...graph, nodes: 13, features })));
    const alone = {
      nodes: 1,
      features: features.slice(12 * 6),
      from: new Int32Array(0),
      to: new Int32Array(0),
    };
    expectClose([codes[12]!], rows(model.encode(nodesOf(alone))));
    expectClose(codes.slice(0, 12), rows(model.encode(nodesOf(graph))));
    model.dispose();
  });

  it("lets no feature of a masked node reach its prediction", () => {
    const model = createModel(graphMae, { ...config, replaceRatio: 0 }, { seed: 4 });
    const before = model.reconstruct([graph], createRandom(5));
    const hidden = new Set(before.masked);
    const features = graph.features.map((value, i) => (hidden.has(Math.floor(i / 6)) ? 9 : value));
    const after = model.reconstruct([{ ...graph, features }], createRandom(5));
    expectClose(after.prediction.arraySync(), before.prediction.arraySync());
    disposeAll([before, after]);
    model.dispose();
  });

  it("masks the nodes of a mini-batch alone", () => {
    const model = createModel(graphMae, { ...config, neighbours: 2 }, { seed: 4 });
    const batch = model.prepare(nodesOf(graph).slice(2, 6), createRandom(5));
    expect(batch.mask.masked.length).toBe(2);
    expect(batch.mask.tokens).toBeGreaterThan(4);
    const seen = Array.from({ length: batch.mask.tokens }, (_, i) => [
      ...batch.features.subarray(6 * i, 6 * i + 6),
    ]);
    for (const node of batch.mask.masked) {
      const at = [2, 3, 4, 5].some((i) => seen[node]!.every((v, j) => v === graph.features[i * 6 + j]));
      expect(at).toBe(true);
    }
    disposeAll(batch);
    model.dispose();
  });

  it("drops out in training, the same for the same draws, and never in evaluation", () => {
    const model = createModel(graphMae, { ...config, featureDropout: 0.5 }, { seed: 4 });
    const lossOf = (seed: number) =>
      tidy(() => {
        const { seed: drawn, ...batch } = model.prepare([graph], createRandom(5));
        return graphMae
          .loss(model.params, model.config, { ...batch, seed: drawn + seed })
          .total.dataSync()[0];
      });
    expect(lossOf(0)).toBe(lossOf(0));
    expect(lossOf(0)).not.toBe(lossOf(100));
    expect(rows(model.encode([graph]))).toEqual(rows(model.encode([graph])));
    model.dispose();
  });
});

it("rounds all counts down, so that a masked node may show itself, and takes none where the count is 0", () => {
  const draws = (masked: number) => ({
    order: Int32Array.from({ length: 10 }, (_, i) => 9 - i),
    inner: Int32Array.from({ length: masked }, (_, i) => i),
    sources: Int32Array.from({ length: 10 }, (_, i) => i),
  });
  const { mask, shown } = maskNodes(10, draws(7), { maskRatio: 0.7, replaceRatio: 0.3 });
  expect([...mask.masked]).toEqual([9, 8, 7, 6, 5, 4, 3]);
  expect([...shown]).toEqual([0, 1, 2, 1, 0, 5, -1, -1, -1, -1]);
  const few = maskNodes(10, draws(5), { maskRatio: 0.5, replaceRatio: 0.1 });
  expect([...few.shown]).toEqual([0, 1, 2, 3, 4, 5, -1, -1, -1, -1]);
});

it("says what is wrong with samples", () => {
  const model = createModel(graphMae, config);
  const prepare = (...samples: Parameters<typeof model.prepare>[0]) =>
    model.prepare(samples, createRandom(1));
  expect(() => prepare(ring(8, createRandom(1), 5))).toThrow(
    "nodes have 5 features, the model takes 6; set features to 5",
  );
  const empty = { nodes: 0, features: new Float32Array(0), from: new Int32Array(0), to: new Int32Array(0) };
  expect(() => prepare(empty)).toThrow("graph 0 has no nodes; leave empty graphs out");
  expect(() => prepare({ graph, node: 12 })).toThrow("node 12 of a graph of 12 nodes");
  expect(() => prepare(graph, { graph, node: 1 })).toThrow("graphs and nodes in one batch");
  expect(() => prepare({ ...empty, nodes: 1, features: new Float32Array(6) })).toThrow(
    "masks none of 1 nodes",
  );
  expect(() => model.encode([graph], { pool: "cls" })).toThrow("use mean, max, sum or tokens");
  expect(() => createModel(graphMae, { ...config, width: 9 })).toThrow(
    "width 9 is not a multiple of 2 heads",
  );
  model.dispose();
});
