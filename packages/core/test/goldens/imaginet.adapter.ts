/** SelfCon (exits of a network as views) and supervised contrast with several labels, as ImagiNet computes them. */
import * as tf from "@tensorflow/tfjs";
import type { Golden, GoldenAdapter, GoldenResult, Values } from "../../../testing/src/golden.js";
import { given } from "../../../testing/src/golden.js";
import { toInt32 } from "../../src/io/raw-tensor.js";
import { crossEntropy, supervisedContrastive } from "../../src/losses/index.js";
import { gatherAny } from "../../src/ops/index.js";
import { tensorOf } from "../../src/parameters.js";

/** Of the second term of losses with two labels, as recorded. */
const SECOND_LABEL = 0.5;
/** Of the distilled logits, as recorded. */
const DISTILLATION_TEMPERATURE = 3;

function run(golden: Golden): GoldenResult {
  const { temperature, base_temperature: baseTemperature } = golden.config;
  const features = tensorOf(given(golden.inputs, "features"));
  const [count, views] = features.shape as [number, number];
  const labels = toInt32(given(golden.inputs, "labels"));
  const table = toInt32(given(golden.inputs, "multi_labels"));
  const columns = table.length / count;
  const column = (index: number) => Int32Array.from({ length: count }, (_, i) => table[i * columns + index]!);

  const anchorViews = Array.from({ length: views - 1 }, (_, view) => view); // all exits but the last
  const half = Math.floor(count / 2);
  const twice = (ofHalf: ArrayLike<number>) =>
    Int32Array.from({ length: count }, (_, i) => ofHalf[i % half]!);
  const marked = Int32Array.from({ length: count }, (_, i) => i).filter((i) => table[i * columns] === 1);

  type Options = { labels?: Int32Array; anchorViews?: readonly number[] };
  const contrast = (x: tf.Tensor, options: Options = {}) =>
    supervisedContrastive(x, { ...options, temperature, baseTemperature, normalise: false });
  const withSecond = (first: tf.Tensor, second: tf.Tensor) =>
    tf.add(first, tf.mul(second, SECOND_LABEL)) as tf.Scalar;
  const losses: Record<string, (x: tf.Tensor) => tf.Scalar> = {
    selfcon_s_FG: (x) => contrast(x, { labels, anchorViews }),
    selfcon_s_FG_unsup: (x) => contrast(x, { anchorViews }),
    selfcon_m_FG: (x) => contrast(x, { labels: twice(labels), anchorViews }),
    selfcon_m_FG_unsup: (x) => contrast(x, { labels: twice(range(half)), anchorViews }),
    simclr_unsup: (x) => contrast(x),
    supcon_all: (x) => contrast(x, { labels }),
    supcon_one: (x) => contrast(x, { labels, anchorViews: [0] }),
    supcon_s: (x) => contrast(x.slice([0, 0, 0], [count, 1, -1]), { labels }),
    multilabel: (x) => withSecond(contrast(x, { labels: column(0) }), contrast(x, { labels: column(1) })),
    multilabel_imaginet: (x) =>
      withSecond(
        contrast(x, { labels: column(0) }),
        contrast(samplesAt(x, marked), { labels: Int32Array.from(marked, (i) => column(2)[i]!) }),
      ),
  };
  const total = (x: tf.Tensor) => tf.addN(Object.values(losses).map((loss) => loss(x))) as tf.Scalar;

  const [student, teacher] = [
    tensorOf(given(golden.inputs, "logit_s")),
    tensorOf(given(golden.inputs, "logit_t")),
  ];
  /** Named kl in the reference; without the teacher's entropy, so a cross-entropy with the gradient of a KL divergence. */
  const distilled = (logits: tf.Tensor) => {
    const soft = tf.softmax(tf.div(teacher, DISTILLATION_TEMPERATURE));
    const loss = crossEntropy(tf.div(logits, DISTILLATION_TEMPERATURE), soft);
    return tf.mul(loss, DISTILLATION_TEMPERATURE ** 2) as tf.Scalar;
  };

  const named = [...Object.entries(losses), ["total_loss", total] as const];
  const outputs = new Map<string, Values>([
    ...named.map(([name, loss]): [string, Values] => [name, loss(features)]),
    ["kl", distilled(student)],
  ]);
  const gradients = new Map<string, Values>([
    ...named.map(([name, loss]): [string, Values] => [
      name === "total_loss" ? "features" : `features.${name}`,
      tf.grad(loss)(features),
    ]),
    ["logit_s.kl", tf.grad(distilled)(student)],
  ]);
  return { outputs, gradients };
}

/** Some of the samples, [B, V, D] -> [rows, V, D] */
const samplesAt = (x: tf.Tensor, rows: Int32Array) =>
  gatherAny(x.reshape([x.shape[0]!, -1]), rows).reshape([rows.length, ...x.shape.slice(1)]);

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

export const imaginetLosses: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("ImagiNet"),
  run,
};
