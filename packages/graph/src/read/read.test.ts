import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FormatError } from "@unmask/core";
import fc from "fast-check";
import Graphology from "graphology";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Graph } from "../graph.js";
import { parseDgcnn, parseTu } from "./collections.js";
import { readGraphs, readPlanetoid } from "./files.js";
import type { GraphsData, NodeData } from "./graph-data.js";
import { fromGraphology, parseEdgeList, parseGraphJson, writeEmbeddings } from "./network.js";

const planetoid = fileURLToPath(new URL("../../test/fixtures/planetoid", import.meta.url));
let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "unmask-graphs-"));
});
afterAll(() => rmSync(root, { recursive: true }));

const edges = ({ from, to }: Graph) => Array.from(from, (node, i) => `${node}-${to[i]}`).sort();
const rows = ({ features, nodes }: Graph) =>
  Array.from({ length: nodes }, (_, i) => [
    ...features.subarray((i * features.length) / nodes, ((i + 1) * features.length) / nodes),
  ]);

describe("readPlanetoid", () => {
  it("puts the files together, test nodes where they belong", () => {
    const { graph, split, classes } = readPlanetoid(planetoid, "tiny", { normalise: false });
    expect(graph.nodes).toBe(8);
    expect(rows(graph)[7]).toEqual([0, 0, 1, 0]);
    expect(rows(graph)[5]).toEqual([0, 4, 0, 0]);
    expect(rows(graph)[6]).toEqual([0, 0, 0, 0]);
    expect([...graph.labels!]).toEqual([0, 1, 2, 0, 1, 1, -1, 2]);
    expect(edges(graph)).toEqual(["0-1", "0-7", "1-0", "2-2", "2-5", "5-2", "7-0"]);
    expect([split!.train, split!.validation, split!.test].map((part) => [...part])).toEqual([
      [0, 1],
      [2, 3, 4],
      [5, 7],
    ]);
    expect(classes).toEqual(["0", "1", "2"]);
  });

  it("divides words by their sum, and leaves a node without words alone", () => {
    const { graph } = readPlanetoid(planetoid);
    expect(rows(graph).slice(0, 4)).toEqual([
      [0.5, 0.5, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 0.75, 0.25],
      [0, 0, 0, 0],
    ]);
  });

  it("names what is missing", () => {
    expect(() => readPlanetoid(planetoid, "cora")).toThrow("holds tiny, not cora");
    writeFileSync(join(root, "ind.half.graph"), "");
    expect(() => readPlanetoid(root, "half")).toThrow("lacks ind.half.x");
  });
});

const TU = {
  A: "1, 2\n2, 1\n3, 4\n4, 5\n",
  graph_indicator: "1\n1\n2\n2\n2\n",
  graph_labels: "-1\n1\n",
  node_labels: "3\n5\n3\n3\n9\n",
};

describe("parseTu", () => {
  it("numbers nodes from each graph's first, edges both ways, classes in order", () => {
    const { graphs, classes } = parseTu("T", TU);
    expect(graphs.map(({ nodes, label }) => [nodes, label])).toEqual([
      [2, 0],
      [3, 1],
    ]);
    expect(classes).toEqual(["-1", "1"]);
    expect(edges(graphs[1]!)).toEqual(["0-1", "1-0", "1-2", "2-1"]);
    expect(rows(graphs[1]!)).toEqual([
      [1, 0, 0],
      [1, 0, 0],
      [0, 0, 1],
    ]);
  });

  it("takes attributes before kinds, and degrees where there is neither", () => {
    const attributes = "0.5,1\n1,1\n2,1\n3,1\n4,-1\n";
    expect(rows(parseTu("T", { ...TU, node_attributes: attributes }).graphs[1]!)).toEqual([
      [2, 1],
      [3, 1],
      [4, -1],
    ]);
    const { node_labels: _, ...bare } = TU;
    expect(rows(parseTu("T", bare).graphs[1]!)).toEqual([
      [0, 1, 0],
      [0, 0, 1],
      [0, 1, 0],
    ]);
  });

  it.each([
    [{ ...TU, A: "1, 3\n" }, "line 1 of A is no edge within a graph"],
    [{ ...TU, A: "1, 9\n" }, "line 1 of A is no edge within a graph"],
    [{ ...TU, node_labels: "1\n" }, "1 node_labels for 5 nodes"],
    [{ ...TU, graph_indicator: "1\n3\n" }, "numbered from 1 without a gap"],
    [{ ...TU, node_attributes: "1\nx\n1\n1\n1\n" }, "node_attributes are not 1 numbers"],
  ])("refuses files that do not fit each other, %#", (files, message) => {
    expect(() => parseTu("T", files)).toThrow(FormatError);
    expect(() => parseTu("T", files)).toThrow(message);
  });
});

describe("parseDgcnn", () => {
  const text = "2\n2 1\n0 1 1\n0 1 0\n3 0\n1 2 1 2\n0 1 0\n0 1 0\n";
  it("reads tags, neighbours and labels", () => {
    const { graphs, classes } = parseDgcnn("D", text);
    expect(graphs.map(({ nodes, label }) => [nodes, label])).toEqual([
      [2, 1],
      [3, 0],
    ]);
    expect(edges(graphs[1]!)).toEqual(["0-1", "0-2", "1-0", "2-0"]);
    expect(rows(graphs[1]!)).toEqual([
      [0, 1],
      [1, 0],
      [1, 0],
    ]);
    expect(classes).toEqual(["0", "1"]);
  });
  it("refuses a neighbour outside its graph and an end too early", () => {
    expect(() => parseDgcnn("D", "1\n2 1\n0 1 5\n0 1 0\n")).toThrow(
      "line 3 has 1 neighbours for 1, or one outside",
    );
    expect(() => parseDgcnn("D", "2\n2 1\n0 1 1\n0 1 0\n")).toThrow(
      "should be the size and label of a graph",
    );
  });
});

describe("networks", () => {
  const people = () => {
    const graph = new Graphology({ multi: true });
    graph.addNode("ann", { age: 3, tastes: [1, 0], class: "b" });
    graph.addNode("bob", { age: 4, tastes: [0, 1], class: "a" });
    graph.addNode("cat", { age: 5, tastes: [0, 0], class: "b", lonely: true });
    graph.addUndirectedEdge("ann", "bob");
    graph.addUndirectedEdge("ann", "bob");
    graph.addDirectedEdge("cat", "cat");
    return graph;
  };

  it("come from graphology with numbers and classes, and take features back", () => {
    const graph = people();
    const data = fromGraphology(graph);
    expect(data.names).toEqual(["ann", "bob", "cat"]);
    expect(rows(data.graph)).toEqual([
      [3, 1, 0],
      [4, 0, 1],
      [5, 0, 0],
    ]);
    expect([[...data.graph.labels!], data.classes]).toEqual([
      [1, 0, 1],
      ["a", "b"],
    ]);
    expect(edges(data.graph)).toEqual(["0-1", "0-1", "1-0", "1-0", "2-2"]);
    writeEmbeddings(graph, data.names!, Float32Array.of(1, 2, 3, 4, 5, 6), "code");
    expect(graph.getNodeAttribute("bob", "code")).toEqual([3, 4]);
    expect(() => fromGraphology(graph, { features: ["lonely"] })).toThrow(
      "not all nodes have numbers as lonely",
    );
  });

  it("come from GraphML, JSON and edge lists by a path", () => {
    const graphml = `<?xml version="1.0"?><graphml><key id="w" for="node" attr.name="w" attr.type="double"/>
      <graph edgedefault="undirected"><node id="a"><data key="w">1.5</data></node><node id="b"><data key="w">2</data></node>
      <edge source="a" target="b"/></graph></graphml>`;
    const json = {
      nodes: [
        { id: 1, w: 1.5 },
        { id: 2, w: 2 },
      ],
      links: [{ source: 1, target: 2 }],
    };
    writeFileSync(join(root, "g.graphml"), graphml);
    writeFileSync(join(root, "g.json"), JSON.stringify(json));
    for (const name of ["g.graphml", "g.json"]) {
      const { graph } = readGraphs(join(root, name)) as NodeData;
      expect([edges(graph), rows(graph)]).toEqual([
        ["0-1", "1-0"],
        [[1.5], [2]],
      ]);
    }
    writeFileSync(join(root, "g.edges"), "# who knows whom\na b\nb,c\n\na\tb\n");
    const { graph, names } = readGraphs(join(root, "g.edges")) as NodeData;
    expect([edges(graph), names, rows(graph)]).toEqual([
      ["0-1", "1-0", "1-2", "2-1"],
      ["a", "b", "c"],
      [
        [0, 1, 0],
        [0, 0, 1],
        [0, 1, 0],
      ],
    ]);
    writeFileSync(join(root, "broken.graphml"), "<graphml><graph><edge source='a' target='b'/>");
    expect(() => readGraphs(join(root, "broken.graphml"))).toThrow(FormatError);
    expect(() => readGraphs(join(root, "none"))).toThrow("there is no");
  });

  it("reads a folder of a TU collection", () => {
    const folder = join(root, "tu");
    mkdirSync(folder);
    for (const [part, text] of Object.entries(TU)) writeFileSync(join(folder, `T_${part}.txt`), text);
    expect((readGraphs(folder) as GraphsData).graphs).toHaveLength(2);
  });

  it("says what is wrong with JSON and lists", () => {
    expect(() => parseGraphJson("j", "{")).toThrow("is no JSON");
    expect(() => parseGraphJson("j", "{}")).toThrow("has no list nodes");
    expect(() => parseGraphJson("j", '{"nodes":[{"id":1}],"links":[{"source":1,"target":2}]}')).toThrow(
      "of which one is no node",
    );
    expect(() => parseEdgeList("e", "a\n")).toThrow("line 1 names one node only");
    expect(() => parseEdgeList("e", "# nothing\n")).toThrow("holds no edges");
  });

  it("gives a graph or says why not, whatever the text", () => {
    const text = fc
      .array(fc.constantFrom("1", "2", " ", "\n", ",", "-", "{", "}", "x"), { maxLength: 30 })
      .map((parts) => parts.join(""));
    for (const parse of [parseDgcnn, parseEdgeList, parseGraphJson])
      fc.assert(
        fc.property(text, (content) => {
          try {
            parse("any", content);
          } catch (error) {
            expect((error as Error).name).toMatch(/FormatError|UnmaskError/);
          }
        }),
        { numRuns: 200, seed: 5 },
      );
  });
});
