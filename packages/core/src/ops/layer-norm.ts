/** Layer normalisation over the last axis (Ba et al., arXiv 1607.06450). */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { differentiable } from "./differentiable.js";
import { kernel } from "./kernel.js";

/**
 * `UnmaskLayerNorm`: y = (x - mean) * rstd * weight + bias, biased variance, epsilon inside the root.
 * inputs x [..., D], weight? [D], bias? [D]; attrs epsilon; outputs [y [..., D], mean [R], rstd [R]], R the rows of x.
 */
export const layerNormKernel = kernel<
  { x: tf.Tensor; weight?: tf.Tensor; bias?: tf.Tensor },
  { epsilon: number }
>("UnmaskLayerNorm", ({ x, weight, bias }, { epsilon }) => {
  const mean = tf.mean(x, -1, true);
  const centred = tf.sub(x, mean);
  const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
  let y: tf.Tensor = tf.mul(centred, rstd);
  if (weight !== undefined) y = tf.mul(y, weight);
  if (bias !== undefined) y = tf.add(y, bias);
  return [y, mean.flatten(), rstd.flatten()];
});

/**
 * `UnmaskLayerNormGrad`: inputs dy [..., D], x [..., D], mean [R], rstd [R], weight? [D], extra? [..., D], added to
 * dx; attrs affine; outputs [dx [..., D], and if affine dweight [D], dbias [D]].
 */
export const layerNormGradKernel = kernel<
  {
    dy: tf.Tensor;
    x: tf.Tensor;
    mean: tf.Tensor;
    rstd: tf.Tensor;
    weight?: tf.Tensor;
    extra?: tf.Tensor;
  },
  { affine: boolean }
>("UnmaskLayerNormGrad", ({ dy, x, mean, rstd, weight, extra }, { affine }) => {
  const perRow = [...x.shape.slice(0, -1), 1];
  const scale = rstd.reshape(perRow);
  const normed = tf.mul(tf.sub(x, mean.reshape(perRow)), scale);
  const inner = weight === undefined ? dy : tf.mul(dy, weight);
  const projected = tf.add(
    tf.mean(inner, -1, true),
    tf.mul(normed, tf.mean(tf.mul(inner, normed), -1, true)),
  );
  let dx: tf.Tensor = tf.mul(scale, tf.sub(inner, projected));
  if (extra !== undefined) dx = tf.add(dx, extra);
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  return affine ? [dx, tf.sum(tf.mul(dy, normed), axes), tf.sum(dy, axes)] : [dx];
});

/**
 * @param x [..., D]
 * @param weight [D], or undefined for the affine-free form
 * @param bias [D]; given if and only if `weight` is
 * @returns the shape of x
 */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  weight: tf.Tensor | undefined,
  bias: tf.Tensor | undefined,
  epsilon: number,
): T {
  const width = x.shape[x.rank - 1]!;
  const affine = weight !== undefined && bias !== undefined;
  expect(
    affine ? weight.size === width && bias.size === width : weight === undefined && bias === undefined,
    () =>
      `layerNorm: weight [${weight?.shape ?? "none"}] and bias [${bias?.shape ?? "none"}] do not fit [${x.shape}]`,
  );
  return differentiable({ x, weight, bias }, ({ x, weight, bias }) => {
    const [value, mean, rstd] = layerNormKernel({ x, weight, bias }, { epsilon });
    return {
      value: value!,
      saved: { x, mean, rstd, weight },
      gradient: (dy, { x, mean, rstd, weight }) => {
        const given = { dy, x: x!, mean: mean!, rstd: rstd!, weight };
        const [dx, dweight, dbias] = layerNormGradKernel(given, { affine });
        return { x: dx!, weight: dweight, bias: dbias };
      },
    };
  }) as T;
}
