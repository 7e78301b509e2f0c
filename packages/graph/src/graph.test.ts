import { describe, expect, it } from "vitest";
import { type Graph, joinGraphs } from "./graph.js";

const graph = (nodes: number, first: number, edges: readonly (readonly [number, number])[]): Graph => ({
  nodes,
  features: Float32Array.from({ length: nodes * 2 }, (_, i) => first + i),
  from: Int32Array.from(edges, ([from]) => from),
  to: Int32Array.from(edges, ([, to]) => to),
});

describe("joinGraphs", () => {
  it("moves the edges of each graph to its own nodes", () => {
    const pair = graph(2, 0, [[0, 1]]);
    const triangle = graph(3, 10, [
      [0, 1],
      [1, 2],
      [2, 0],
    ]);
    const batch = joinGraphs([pair, triangle]);
    expect(batch.nodes).toBe(5);
    expect([...batch.features]).toEqual([0, 1, 2, 3, 10, 11, 12, 13, 14, 15]);
    expect([...batch.from]).toEqual([0, 2, 3, 4]);
    expect([...batch.to]).toEqual([1, 3, 4, 2]);
    expect([...batch.graphOf]).toEqual([0, 0, 1, 1, 1]);
  });

  it.each([
    ["an edge to a node that is not there", graph(2, 0, [[0, 2]]), /graph 1 .* node 2; its nodes are 0-1/],
    [
      "features of another width",
      { ...graph(2, 0, []), features: new Float32Array(6) },
      /graph 1 has 6 features/,
    ],
    [
      "half an edge",
      { ...graph(2, 0, [[0, 1]]), to: new Int32Array(0) },
      /graph 1 has 1 edge beginnings and 0/,
    ],
  ])("refuses %s", (_, bad, message) => {
    expect(() => joinGraphs([graph(2, 0, []), bad])).toThrow(message);
  });
});
