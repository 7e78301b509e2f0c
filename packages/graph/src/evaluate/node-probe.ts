/**
 * The linear probe that papers on graphs report: a linear layer on frozen features of the labelled nodes, Adam on all of
 * them at once; accuracy on the test nodes at the epoch that is best on the validation nodes, and at the last.
 */
import * as tf from "@tensorflow/tfjs";
import {
  adam,
  applyLinear,
  createRandom,
  crossEntropy,
  decayAll,
  disposeTree,
  expect,
  tidy,
  trainable,
} from "@unmask/core";
import { torchLinear } from "../nn/parts.js";
import type { GraphSplit } from "../read/graph-data.js";

export interface NodeProbeOptions {
  /** 300 when absent. */
  readonly epochs?: number;
  /** 0.01 when absent. */
  readonly lr?: number;
  /** Part of the gradient, of weights and bias; 1e-4 when absent. */
  readonly weightDecay?: number;
  /** Of the initial weights; 0 when absent. */
  readonly seed?: number;
}

export interface NodeProbeScores {
  /** Test accuracy at the epoch that is best on validation (the last of equals). */
  readonly earlyStopped: number;
  /** Test accuracy after the last epoch. */
  readonly last: number;
  /** Best accuracy on validation. */
  readonly validation: number;
}

/**
 * @param features [nodes, width]
 * @param labels [nodes]
 */
export function nodeProbe(
  features: Float32Array,
  labels: Int32Array,
  split: GraphSplit,
  { epochs = 300, lr = 0.01, weightDecay = 1e-4, seed = 0 }: NodeProbeOptions = {},
): NodeProbeScores {
  const width = features.length / labels.length;
  expect(
    Number.isInteger(width) && width > 0,
    `nodeProbe: ${features.length} features for ${labels.length} nodes; give one row for each node`,
  );
  const part = (nodes: Int32Array) => {
    const rows = new Float32Array(nodes.length * width);
    nodes.forEach((node, i) => {
      rows.set(features.subarray(node * width, (node + 1) * width), i * width);
    });
    return { x: tf.tensor2d(rows, [nodes.length, width]), labels: nodes.map((node) => labels[node]!) };
  };
  const classes = labels.reduce((most, label) => Math.max(most, label), -1) + 1;
  const [train, validation, test] = [part(split.train), part(split.validation), part(split.test)];
  const unlabelled = [train, validation, test].some(
    (set) => set.labels.length === 0 || set.labels.some((l) => l < 0),
  );
  expect(!unlabelled, "nodeProbe: every part of the split needs nodes, and all of them a label");
  const head = tidy(() => torchLinear(createRandom(seed).child("node probe"), width, classes));
  const params = trainable(head);
  const optimizer = adam({ rules: decayAll(weightDecay), betas: [0.9, 0.999] });
  let [best, earlyStopped, last] = [-1, 0, 0];
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      tf.tidy(() => {
        const { grads } = tf.variableGrads(
          () => crossEntropy(applyLinear(head, train.x, { constantInput: true }), train.labels),
          [...params.values()],
        );
        optimizer.step(params, new Map([...params].map(([path, { name }]) => [path, grads[name]!])), { lr });
      });
      const accuracy = (set: typeof test) =>
        tf.tidy(() => {
          const found = tf.argMax(applyLinear(head, set.x), 1).dataSync();
          return (
            set.labels.reduce((right, label, i) => right + (label === found[i] ? 1 : 0), 0) /
            set.labels.length
          );
        });
      const chosen = accuracy(validation);
      last = accuracy(test);
      if (chosen >= best) [best, earlyStopped] = [chosen, last];
    }
  } finally {
    optimizer.dispose();
    disposeTree(head);
    for (const { x } of [train, validation, test]) x.dispose();
  }
  return { earlyStopped, last, validation: best };
}
