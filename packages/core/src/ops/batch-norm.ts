/** Batch normalisation by the batch's own statistics (Ioffe and Szegedy, arXiv 1502.03167), with one gradient for all. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { constant } from "../scope.js";
import { differentiable } from "./differentiable.js";
import { kernel } from "./kernel.js";

/** Rows in a column, to weigh [R, C]. */
const column = (active: tf.Tensor | undefined) => active?.reshape([active.size, 1]);

const columnSums = (values: tf.Tensor, active: tf.Tensor | undefined) =>
  tf.sum(active === undefined ? values : tf.mul(values, active), 0);

const countOf = (x: tf.Tensor, active: tf.Tensor | undefined) =>
  active === undefined ? tf.scalar(x.shape[0]!) : tf.sum(active);

/**
 * `UnmaskBatchMoments`: mean and biased variance of every column.
 * inputs x [R, C], active? [R], the weights of the rows; outputs [moments [2, C]].
 */
const momentsKernel = kernel<{ x: tf.Tensor; active?: tf.Tensor }, object>(
  "UnmaskBatchMoments",
  ({ x, active }) => {
    const [weights, count] = [column(active), countOf(x, active)];
    const mean = tf.div(columnSums(x, weights), count);
    return [tf.stack([mean, tf.div(columnSums(tf.square(tf.sub(x, mean)), weights), count)])];
  },
);

function unstack(moments: tf.Tensor, epsilon: number): { mean: tf.Tensor; deviation: tf.Tensor } {
  const [mean, variance] = tf.unstack(moments) as [tf.Tensor, tf.Tensor];
  return { mean, deviation: tf.sqrt(tf.add(variance, epsilon)) };
}

/**
 * `UnmaskBatchNorm`: y = ((x - mean) / deviation * weight + bias) * active, epsilon inside the root.
 * inputs x [R, C], moments [2, C], weight? [C], bias? [C], active? [R]; attrs epsilon; outputs [y [R, C]].
 */
const normKernel = kernel<
  { x: tf.Tensor; moments: tf.Tensor; weight?: tf.Tensor; bias?: tf.Tensor; active?: tf.Tensor },
  { epsilon: number }
>("UnmaskBatchNorm", ({ x, moments, weight, bias, active }, { epsilon }) => {
  const { mean, deviation } = unstack(moments, epsilon);
  let y: tf.Tensor = tf.div(tf.sub(x, mean), deviation);
  if (weight !== undefined) y = tf.mul(y, weight);
  if (bias !== undefined) y = tf.add(y, bias);
  return [active === undefined ? y : tf.mul(y, column(active)!)];
});

/**
 * `UnmaskBatchNormGrad`: the gradient of y as above where the moments are those of x.
 * inputs dy [R, C], x [R, C], moments [2, C], weight? [C], active? [R]; attrs epsilon;
 * outputs [dx [R, C], dweight [C], dbias [C]].
 */
const normGradKernel = kernel<
  { dy: tf.Tensor; x: tf.Tensor; moments: tf.Tensor; weight?: tf.Tensor; active?: tf.Tensor },
  { epsilon: number }
>("UnmaskBatchNormGrad", ({ dy, x, moments, weight, active }, { epsilon }) => {
  const { mean, deviation } = unstack(moments, epsilon);
  const weights = column(active);
  const normed = tf.div(tf.sub(x, mean), deviation);
  const [dbias, dweight] = [columnSums(dy, weights), columnSums(tf.mul(dy, normed), weights)];
  // what y would change by through the variance and the mean is taken off, the mean last: columns then sum to 0
  const count = countOf(x, active);
  const tilted = tf.sub(dy, tf.mul(normed, tf.div(dweight, count)));
  const centred = tf.sub(tilted, tf.div(columnSums(tilted, weights), count));
  const scaled = tf.div(centred, deviation);
  const inner = weight === undefined ? scaled : tf.mul(scaled, weight);
  return [weights === undefined ? inner : tf.mul(inner, weights), dweight, dbias];
});

export interface BatchNormOpOptions {
  readonly epsilon: number;
  /** [R]: 1 for rows that count, 0 for rows that do not and whose result is 0. No gradient. */
  readonly active?: tf.Tensor;
}

/**
 * @param x [R, C]
 * @param weight [C], or undefined for the affine-free form
 * @param bias [C]
 * @returns y [R, C], and as constants mean and biased variance of the columns, [2, C]
 */
export function batchNorm(
  x: tf.Tensor,
  weight: tf.Tensor | undefined,
  bias: tf.Tensor | undefined,
  { epsilon, active }: BatchNormOpOptions,
): { y: tf.Tensor; moments: tf.Tensor } {
  const [rows, width] = x.shape as [number, number];
  const fits = [weight, bias].every((values) => values === undefined || values.size === width);
  expect(
    x.rank === 2 && fits && (active === undefined || active.size === rows),
    () =>
      `batchNorm: weight [${weight?.shape ?? "none"}], bias [${bias?.shape ?? "none"}] and active [${active?.shape ?? "none"}] do not fit [${x.shape}]`,
  );
  const moments = constant(() => momentsKernel({ x, active }, {})[0]!);
  const y = differentiable({ x, weight, bias }, ({ x, weight, bias }) => ({
    value: normKernel({ x, moments, weight, bias, active }, { epsilon })[0]!,
    saved: { x, moments, weight, active },
    gradient: (dy, { x, moments, weight, active }) => {
      const given = { dy, x: x!, moments: moments!, weight, active };
      const [dx, dweight, dbias] = normGradKernel(given, { epsilon });
      return { x: dx!, weight: dweight!, bias: dbias! };
    },
  }));
  return { y, moments };
}
