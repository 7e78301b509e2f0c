/**
 * pnpm bench graph [--sets cora,citeseer] [--seeds 20] [--minutes N] [--peer] [--raw-words] [--out DIR]
 *
 * GraphMAE in the published configurations, on data under UNMASK_DATA: the linear probe's accuracy on the public split
 * of cora, citeseer and pubmed, early-stopped and after the last epoch; 10-fold accuracy on mutag, proteins, imdb-binary
 * and nci1. random-pubmed and random-million: one epoch's time and memory. scgc-citeseer, scgc-acm and scgc-dblp: SCGC's
 * clusters beside k-means, scgc-star-citeseer and so on those of SCGC*. --peer, by the Python of PEERS_PYTHON, times a
 * step beside the same in plain PyTorch and, on sets of graphs, measures in scikit-learn's folds too. Runs stand in DIR (default runs/graph); finished seeds are not repeated,
 * and --minutes stops after so many, in the middle of a run if need be, to be continued by the next call.
 */
import { parseArgs } from "node:util";
import { startEngine } from "@unmask/core";
import { clusterSets, runClusters } from "./workers/graph-clusters.js";
import { graphSets, runGraphs } from "./workers/graph-collections.js";
import { nodeSets, runNodes } from "./workers/graph-nodes.js";
import { randomSets, runRandom } from "./workers/graph-peer.js";

const { values: args } = parseArgs({
  options: {
    sets: { type: "string", default: "cora,citeseer" },
    seeds: { type: "string", default: "20" },
    minutes: { type: "string", default: "10000" },
    peer: { type: "boolean", default: false },
    "raw-words": { type: "boolean", default: false },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/graph" },
  },
});

const data = process.env.UNMASK_DATA;
if (data === undefined) throw new Error("set UNMASK_DATA to the folder that holds graphs/");
const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}, ${engine.threads} threads, ${engine.device ?? ""}`);

const options = {
  data: `${data}/graphs`,
  out: args.out,
  seeds: Number(args.seeds),
  signal: AbortSignal.timeout(Number(args.minutes) * 60_000),
  peer: args.peer,
  threads: engine.threads ?? 1,
  rawWords: args["raw-words"],
};
for (const set of args.sets.split(",")) {
  if (set in nodeSets) await runNodes(set as keyof typeof nodeSets, options);
  else if (set in graphSets) await runGraphs(set as keyof typeof graphSets, options);
  else if (set in clusterSets) await runClusters(set as keyof typeof clusterSets, options);
  else if (set in randomSets) runRandom(set as keyof typeof randomSets, options);
  else {
    const known = [nodeSets, graphSets, clusterSets, randomSets].flatMap((sets) => Object.keys(sets));
    throw new Error(`--sets ${set}: use some of ${known.join(", ")}`);
  }
}
