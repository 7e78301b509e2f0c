/** NT-Xent and supervised contrastive loss (SupContrast, SimCLR), Barlow Twins, VICReg: values and gradients. */
import * as tf from "@tensorflow/tfjs";
import type { Golden, GoldenAdapter, GoldenResult, Values } from "../../../testing/src/golden.js";
import { given } from "../../../testing/src/golden.js";
import { toInt32 } from "../../src/io/raw-tensor.js";
import {
  barlowTwins,
  crossCorrelation,
  ntXent,
  similarityLogits,
  supervisedContrastive,
  vicReg,
} from "../../src/losses/index.js";
import { tensorOf } from "../../src/parameters.js";

function run(golden: Golden): GoldenResult {
  const { temperature, barlow_lambda: lambda, vicreg } = golden.config;
  const [invariance, variance, covariance] = vicreg as [number, number, number];
  const [z1, z2] = [tensorOf(given(golden.inputs, "z1")), tensorOf(given(golden.inputs, "z2"))];
  const labels = toInt32(given(golden.inputs, "labels"));
  const views = (a: tf.Tensor, b: tf.Tensor) => tf.stack([a, b], 1);
  const losses: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Scalar> = {
    barlow: (a, b) => barlowTwins(a, b, { lambda }),
    ntxent_simclr: (a, b) => ntXent(a, b, { temperature }),
    supcon_labels: (a, b) =>
      supervisedContrastive(views(a, b), { labels, temperature, baseTemperature: 0.07 }),
    supcon_unsup: (a, b) => supervisedContrastive(views(a, b), { temperature, baseTemperature: temperature }),
    vicreg: (a, b) => vicReg(a, b, { invariance, variance, covariance }).total,
  };
  const total = (a: tf.Tensor, b: tf.Tensor) =>
    tf.addN(Object.values(losses).map((loss) => loss(a, b))) as tf.Scalar;

  const terms = vicReg(z1, z2);
  const outputs = new Map<string, Values>([
    ...Object.entries(losses).map(([name, loss]): [string, Values] => [name, loss(z1, z2)]),
    ["total_loss", total(z1, z2)],
    ["barlow_c", crossCorrelation(z1, z2)],
    ["simclr_logits", simclrLogits(z1, z2, temperature)],
    ["vicreg_repr", terms.invariance],
    ["vicreg_std", terms.variance],
    ["vicreg_cov", terms.covariance],
  ]);
  const gradients = new Map<string, Values>();
  for (const [suffix, loss] of [
    ["", total] as const,
    ...Object.entries(losses).map(([name, f]) => [`.${name}`, f] as const),
  ]) {
    const [d1, d2] = tf.grads((a: tf.Tensor, b: tf.Tensor) => loss(a, b))([z1, z2]) as [tf.Tensor, tf.Tensor];
    gradients.set(`z1${suffix}`, d1).set(`z2${suffix}`, d2);
  }
  return { outputs, gradients };
}

/** SimCLR's arrangement of the logits: for each row its partner first, then all others in order, itself left out. */
function simclrLogits(a: tf.Tensor, b: tf.Tensor, temperature: number): tf.Tensor {
  const batch = a.shape[0]!;
  const rows = tf.concat([a, b], 0);
  const logits = similarityLogits(rows, rows, { temperature }).arraySync() as number[][];
  return tf.tensor2d(
    logits.map((row, i) => {
      const partner = (i + batch) % (2 * batch);
      return [row[partner]!, ...row.filter((_, j) => j !== i && j !== partner)];
    }),
  );
}

export const contrastiveLosses: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("SSL losses"),
  run,
};
