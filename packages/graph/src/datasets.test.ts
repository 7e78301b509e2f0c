import { createRandom } from "@unmask/core";
import { describe, expect, it } from "vitest";
import { clusterDataset, clusterNodes, nodeDataset } from "./datasets.js";
import type { Graph } from "./graph.js";
import { neighbourhood } from "./structure.js";

/** Two rings of ten nodes and no edge between them; features are the nodes' numbers. */
const rings: Graph = (() => {
  const ends = Array.from({ length: 20 }, (_, i) => [i, i - (i % 10) + ((i + 1) % 10)] as const);
  return {
    nodes: 20,
    features: Float32Array.from({ length: 20 }, (_, i) => i),
    from: Int32Array.from([...ends.map(([a]) => a), ...ends.map(([, b]) => b)]),
    to: Int32Array.from([...ends.map(([, b]) => b), ...ends.map(([a]) => a)]),
    labels: Int32Array.from({ length: 20 }, (_, i) => Math.floor(i / 10)),
  };
})();

describe("clusters", () => {
  it.each([1, 2, 3, 7, 20])("%i parts hold each node once, none too many", (parts) => {
    const clusters = clusterNodes(rings, parts, createRandom(1));
    expect(clusters.flatMap((part) => [...part]).sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
    expect(Math.max(...clusters.map(({ length }) => length))).toBeLessThanOrEqual(Math.ceil(20 / parts));
  });

  it("keep what belongs together, with the edges inside", async () => {
    const dataset = clusterDataset({ graph: rings }, { parts: 2 });
    for (const part of await dataset.take(2)) {
      expect(new Set(part.labels).size).toBe(1);
      expect(part.from.length).toBe(20);
    }
    expect(() => clusterNodes(rings, 21, createRandom(1))).toThrow("use 1 to 20");
  });
});

describe("neighbourhood", () => {
  it("holds the nodes, those some steps away, and the edges between them", () => {
    const around = (neighbours: number) =>
      neighbourhood(rings, Int32Array.of(3, 13), { hops: 2, neighbours, random: createRandom(1) });
    const { graph, places } = around(5);
    expect([...graph.features].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 11, 12, 13, 14, 15]);
    expect(Array.from(places, (place) => graph.features[place])).toEqual([3, 13]);
    expect(graph.from.length).toBe(16);
    expect(around(1).graph.nodes).toBeLessThanOrEqual(6);
  });
});

it("nodeDataset gives some nodes of a graph with their labels and names", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
  const dataset = nodeDataset({ graph: rings, names, only: Int32Array.of(12, 4) });
  expect([...dataset.labels!]).toEqual([1, 0]);
  expect([dataset.nameOf(0), dataset.nameOf(1)]).toEqual(["n12", "n4"]);
  expect(await dataset.get(1)).toEqual({ graph: rings, node: 4 });
});
