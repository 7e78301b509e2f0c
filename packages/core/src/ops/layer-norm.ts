/** Layer normalisation over the last axis (Ba et al., arXiv 1607.06450). */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { kernel } from "./kernel.js";

/**
 * `UnmaskLayerNorm`: y = (x - mean) * rstd * weight + bias, biased variance, epsilon inside the root.
 * inputs x [R, D], weight? [D], bias? [D]; attrs epsilon; outputs [y [R, D], mean [R], rstd [R]].
 */
export const layerNormKernel = kernel<
  { x: tf.Tensor; weight?: tf.Tensor; bias?: tf.Tensor },
  { epsilon: number }
>("UnmaskLayerNorm", ({ x, weight, bias }, { epsilon }) => {
  const mean = tf.mean(x, 1, true);
  const centred = tf.sub(x, mean);
  const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon));
  let y: tf.Tensor = tf.mul(centred, rstd);
  if (weight !== undefined) y = tf.mul(y, weight);
  if (bias !== undefined) y = tf.add(y, bias);
  return [y, mean.reshape([x.shape[0]!]), rstd.reshape([x.shape[0]!])];
});

/**
 * `UnmaskLayerNormGrad`: inputs dy [R, D], x [R, D], mean [R], rstd [R], weight? [D], extra? [R, D], added to dx;
 * attrs affine; outputs [dx [R, D], and if affine dweight [D], dbias [D]].
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
  const rows = x.shape[0]!;
  const scale = rstd.reshape([rows, 1]);
  const normed = tf.mul(tf.sub(x, mean.reshape([rows, 1])), scale);
  const inner = weight === undefined ? dy : tf.mul(dy, weight);
  const projected = tf.add(tf.mean(inner, 1, true), tf.mul(normed, tf.mean(tf.mul(inner, normed), 1, true)));
  let dx: tf.Tensor = tf.mul(scale, tf.sub(inner, projected));
  if (extra !== undefined) dx = tf.add(dx, extra);
  return affine ? [dx, tf.sum(tf.mul(dy, normed), 0), tf.sum(dy, 0)] : [dx];
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
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [input, w, b] = args as tf.Tensor[];
    const [value, mean, rstd] = layerNormKernel({ x: input!, weight: w, bias: b }, { epsilon });
    save(affine ? [input!, mean!, rstd!, w!] : [input!, mean!, rstd!]);
    return {
      value: value!,
      gradFunc: (dy: tf.Tensor, [x, mean, rstd, weight]: tf.Tensor[]) =>
        layerNormGradKernel({ dy, x: x!, mean: mean!, rstd: rstd!, weight }, { affine }),
    };
  });
  const flat = x.reshape([x.size / width, width]);
  return op(...(affine ? [flat, weight, bias] : [flat])).reshape(x.shape) as T;
}
