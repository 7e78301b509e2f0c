/** A training step of GraphMAE beside the same in plain PyTorch, in turns. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { adam, createModel, createRandom, decayAll, disposeAll, trainable } from "@unmask/core";
import { type Graph, graphMae } from "@unmask/graph";
import type { BenchOptions } from "./graph-nodes.js";

const ROUNDS = 3;
const STEPS = 7;

const script = fileURLToPath(new URL("../peers/graph_mae_step.py", import.meta.url));

interface Timing {
  readonly milliseconds: number;
  /** Most memory in MB. */
  readonly memory: number;
}

/** PyTorch on a data set of Planetoid's, or on a random graph of "nodes,features,edges,width". */
function peerSteps(name: string, data: string, steps: number): Timing {
  const python = process.env.PEERS_PYTHON;
  if (python === undefined) throw new Error("PEERS_PYTHON names no Python that has torch");
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
  const printed = execFileSync(python, [script, join(data, "planetoid"), name, String(steps)], {
    env,
    encoding: "utf8",
  });
  const [milliseconds, memory] = printed.trim().split(" ").map(Number) as [number, number];
  return { milliseconds, memory };
}

export function comparePeer(set: "cora" | "citeseer", graph: Graph, data: string, weightDecay: number): void {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(timeSteps({ preset: set }, graph, weightDecay, STEPS));
    theirs.push(peerSteps(set, data, STEPS).milliseconds);
  }
  const [mine, other] = [median(ours), median(theirs)];
  console.log(
    `${set}: an epoch takes ${mine.toFixed(0)} ms, plain PyTorch ${other.toFixed(0)} ms, ratio ${(other / mine).toFixed(2)} (medians of ${ROUNDS} rounds of ${STEPS})`,
  );
}

/** Random graphs: PubMed's size, and a million edges. */
export const randomSets = {
  "random-pubmed": { nodes: 19_717, features: 500, edges: 44_338, width: 512 },
  "random-million": { nodes: 100_000, features: 64, edges: 1_000_000, width: 64 },
} as const;

export function runRandom(set: keyof typeof randomSets, { data, peer }: BenchOptions): void {
  const { nodes, features, edges, width } = randomSets[set];
  const random = createRandom(0);
  const ends = () => Int32Array.from({ length: edges }, () => random.int(nodes));
  const [a, b] = [ends(), ends()];
  const both = (first: Int32Array, second: Int32Array) => {
    const all = new Int32Array(2 * edges);
    all.set(first);
    all.set(second, edges);
    return all;
  };
  const graph = { nodes, features: random.normals(nodes * features), from: both(a, b), to: both(b, a) };
  const milliseconds = timeSteps({ features, width, heads: 4, replaceRatio: 0.05 }, graph, 0, 2);
  const memory = process.resourceUsage().maxRSS / 1024;
  console.log(`${set}: an epoch takes ${milliseconds.toFixed(0)} ms, at most ${memory.toFixed(0)} MB`);
  if (!peer) return;
  const other = peerSteps([nodes, features, edges, width].join(","), data, 2);
  console.log(
    `${set}: plain PyTorch ${other.milliseconds.toFixed(0)} ms, at most ${other.memory.toFixed(0)} MB`,
  );
}

/** Median milliseconds of a step. */
function timeSteps(
  config: Parameters<typeof createModel<typeof graphMae>>[1],
  graph: Graph,
  weightDecay: number,
  steps: number,
): number {
  const model = createModel(graphMae, config, { seed: 0 });
  const params = trainable(model.params);
  const optimizer = adam({ rules: decayAll(weightDecay), betas: [0.9, 0.999] });
  const times: number[] = [];
  for (let step = 0; step < steps + 2; step++) {
    const began = performance.now();
    const batch = model.prepare([graph], createRandom(step));
    const { value, grads } = tf.variableGrads(
      () => graphMae.loss(model.params, model.config, batch).total,
      [...params.values()],
    );
    optimizer.step(params, new Map([...params].map(([path, { name }]) => [path, grads[name]!])), {
      lr: 1e-3,
    });
    value.dataSync();
    disposeAll([value, grads, batch]);
    if (step >= 2) times.push(performance.now() - began);
  }
  optimizer.dispose();
  model.dispose();
  return median(times);
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
