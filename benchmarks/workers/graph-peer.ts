/** A training step of GraphMAE beside the same in plain PyTorch, in turns. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { adam, createModel, createRandom, decayAll, disposeAll, trainable } from "@unmask/core";
import { type Graph, graphMae } from "@unmask/graph";
import { median } from "./alternate.js";
import type { BenchOptions } from "./graph-nodes.js";

const ROUNDS = 3;
const STEPS = 7;

const script = fileURLToPath(new URL("../peers/graph_mae_step.py", import.meta.url));

/** Medians over steps; threads are those of the engine on both sides. */
interface Timing {
  readonly milliseconds: number;
  /** Of all threads: what counts while other work keeps the machine busy. */
  readonly processor: number;
  /** Most memory in MB. */
  readonly memory: number;
}

/** PyTorch on a data set of Planetoid's, or on a random graph of "nodes,features,edges,width". */
function peerSteps(
  name: string,
  steps: number,
  { data, threads }: Pick<BenchOptions, "data" | "threads">,
): Timing {
  const python = process.env.PEERS_PYTHON;
  if (python === undefined) throw new Error("PEERS_PYTHON names no Python that has torch");
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
  const given = [join(data, "planetoid"), name, String(steps), String(threads)];
  const printed = execFileSync(python, [script, ...given], { env, encoding: "utf8" });
  const [milliseconds, processor, memory] = printed.trim().split(" ").map(Number) as [number, number, number];
  return { milliseconds, processor, memory };
}

export function comparePeer(
  set: "cora" | "citeseer",
  graph: Graph,
  weightDecay: number,
  options: Pick<BenchOptions, "data" | "threads">,
): void {
  const [ours, theirs]: [Timing[], Timing[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(timeSteps({ preset: set }, graph, weightDecay, STEPS));
    theirs.push(peerSteps(set, STEPS, options));
  }
  print(set, ours, theirs);
}

function print(set: string, ours: readonly Timing[], theirs: readonly Timing[] = []): void {
  for (const [name, timings] of [["unmask", ours] as const, ["plain PyTorch", theirs] as const]) {
    if (timings.length === 0) continue;
    const of = (key: keyof Timing) => median(timings.map((timing) => timing[key])).toFixed(0);
    console.log(
      `${set}: an epoch of ${name} takes ${of("milliseconds")} ms, ${of("processor")} ms of processor time, at most ${of("memory")} MB`,
    );
  }
}

/** Random graphs: PubMed's size, and a million edges. */
export const randomSets = {
  "random-pubmed": { nodes: 19_717, features: 500, edges: 44_338, width: 512 },
  "random-million": { nodes: 100_000, features: 64, edges: 1_000_000, width: 64 },
} as const;

export function runRandom(set: keyof typeof randomSets, options: BenchOptions): void {
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
  const ours = timeSteps({ features, width, heads: 4, replaceRatio: 0.05 }, graph, 0, 2);
  const name = [nodes, features, edges, width].join(",");
  print(set, [ours], options.peer ? [peerSteps(name, 2, options)] : []);
}

function timeSteps(
  config: Parameters<typeof createModel<typeof graphMae>>[1],
  graph: Graph,
  weightDecay: number,
  steps: number,
): Timing {
  const model = createModel(graphMae, config, { seed: 0 });
  const params = trainable(model.params);
  const optimizer = adam({ rules: decayAll(weightDecay), betas: [0.9, 0.999] });
  const [times, processor]: [number[], number[]] = [[], []];
  for (let step = 0; step < steps + 2; step++) {
    const [began, used] = [performance.now(), process.cpuUsage()];
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
    if (step < 2) continue;
    times.push(performance.now() - began);
    const { user, system } = process.cpuUsage(used);
    processor.push((user + system) / 1000);
  }
  optimizer.dispose();
  model.dispose();
  const memory = process.resourceUsage().maxRSS / 1024;
  return { milliseconds: median(times), processor: median(processor), memory };
}
