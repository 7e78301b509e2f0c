/** Graph data sets by path, as the command line names them. */
import { type Dataset, expect, type OpenOptions, type Source } from "@unmask/core";
import { z } from "zod";
import { graphDataset, nodeDataset } from "../datasets.js";
import { type GraphSample, isNode } from "../graph.js";
import { readGraphs } from "../read/files.js";
import type { GraphData } from "../read/graph-data.js";

/** The `data` section of a config. */
export const graphDataSchema = z.strictObject({
  name: z.string().optional().describe("data set of a folder that holds several; also as DIR#NAME"),
  kind: z
    .enum(["auto", "attributes", "tags", "degrees"])
    .optional()
    .describe("features of the nodes: their numbers, their kind or their neighbours counted, one-hot"),
  features: z.array(z.string()).optional().describe("attributes that are features, of GraphML and JSON"),
  label: z.string().optional().describe("attribute that is the class, of GraphML and JSON"),
  joints: z
    .int()
    .positive()
    .optional()
    .describe("joints a frame of skeletons in plain text; 20 when not given"),
  augment: z
    .boolean()
    .optional()
    .describe("train skeletons on random stretches and turns; true when not given"),
  directed: z.boolean().optional().describe("edges of an edge list go one way"),
  normalise: z.boolean().optional().describe("words of a Planetoid node sum to 1; true when not given"),
});

const PARTS = ["train", "validation", "test"] as const;

/** `PATH`, `PATH#NAME`, or `PATH#NAME:PART` with a part of the published split; NAME may be empty. */
function readSource(
  source: Source,
  data: object,
): { graphs: GraphData; part?: (typeof PARTS)[number]; label: string } {
  expect(typeof source === "string", "graphs: give one file or folder");
  const [, path, name, suffix] = /^(.*?)(?:#([^#:]*)(?::(.*))?)?$/s.exec(source)! as unknown as string[];
  const part = PARTS.find((one) => one === suffix);
  expect(
    suffix === undefined || part !== undefined,
    `graphs: no part ${suffix} of a split; use ${PARTS.join(", ")}`,
  );
  const options = graphDataSchema.parse(data);
  const graphs = readGraphs(path!, { ...options, ...(name ? { name } : {}) });
  return { graphs, part, label: source };
}

/** The nodes of one graph or the graphs of a collection. */
export function openGraphs(
  source: Source,
  { data, classes }: Pick<OpenOptions, "data" | "classes">,
): Dataset<GraphSample> {
  const { graphs, part, label: name } = readSource(source, data);
  if (graphs.kind === "graphs") {
    expect(part === undefined, "graphs: a collection has no published split; leave the part out");
    return graphDataset(graphs.graphs, { name, classes: classes ?? graphs.classes });
  }
  const own = { ...graphs, classes: classes ?? graphs.classes };
  if (part === undefined) return nodeDataset(own, { name });
  expect(graphs.split !== undefined, `graphs: ${name} has no published split; leave the part out`);
  return nodeDataset({ ...own, only: graphs.split[part] }, { name });
}

/** Features as they are; of a graph the mean of its nodes'. [n * width] */
export function rawFeatures(samples: readonly GraphSample[]): Float32Array {
  return Float32Array.from(
    samples.flatMap((sample) => {
      const graph = isNode(sample) ? sample.graph : sample;
      const width = graph.features.length / graph.nodes;
      if (isNode(sample)) return [...graph.features.subarray(sample.node * width, (sample.node + 1) * width)];
      const mean = new Float32Array(width);
      graph.features.forEach((value, i) => {
        mean[i % width]! += value / graph.nodes;
      });
      return [...mean];
    }),
  );
}
