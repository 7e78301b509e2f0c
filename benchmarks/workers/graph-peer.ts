/** A training step of GraphMAE beside the same in plain PyTorch, in turns. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { adam, createModel, createRandom, decayAll, disposeAll, trainable } from "@unmask/core";
import { type Graph, graphMae } from "@unmask/graph";

const ROUNDS = 3;
const STEPS = 7;

export function comparePeer(set: "cora" | "citeseer", graph: Graph, data: string, weightDecay: number): void {
  const python = process.env.PEERS_PYTHON;
  if (python === undefined) throw new Error("--peer: PEERS_PYTHON names no Python that has torch");
  const script = fileURLToPath(new URL("../peers/graph_mae_step.py", import.meta.url));
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(timeSteps(set, graph, weightDecay));
    theirs.push(
      Number(
        execFileSync(python, [script, join(data, "planetoid"), set, String(STEPS)], {
          env,
          encoding: "utf8",
        }),
      ),
    );
  }
  const [mine, other] = [median(ours), median(theirs)];
  console.log(
    `${set}: an epoch takes ${mine.toFixed(0)} ms, plain PyTorch ${other.toFixed(0)} ms, ratio ${(other / mine).toFixed(2)} (medians of ${ROUNDS} rounds of ${STEPS})`,
  );
}

/** Median milliseconds of a step. */
function timeSteps(set: "cora" | "citeseer", graph: Graph, weightDecay: number): number {
  const model = createModel(graphMae, { preset: set }, { seed: 0 });
  const params = trainable(model.params);
  const optimizer = adam({ rules: decayAll(weightDecay), betas: [0.9, 0.999] });
  const times: number[] = [];
  for (let step = 0; step < STEPS + 3; step++) {
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
    if (step >= 3) times.push(performance.now() - began);
  }
  optimizer.dispose();
  model.dispose();
  return median(times);
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
