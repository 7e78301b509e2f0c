/** The nearest point of another set. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { differentiable } from "./differentiable.js";
import { kernel } from "./kernel.js";

/**
 * `UnmaskTakeNearest`: y[b, n] = to[b, index[b, n]], the point of `to` nearest to from[b, n], the first of several.
 * inputs from [B, N, D], to [B, M, D]; outputs [y [B, N, D], index int32 [B, N]].
 */
const takeNearestKernel = kernel<{ from: tf.Tensor; to: tf.Tensor }, object>(
  "UnmaskTakeNearest",
  ({ from, to }) => {
    const axes = (x: tf.Tensor) => tf.split(x as tf.Tensor3D, x.shape[2]!, 2);
    const [rows, columns] = [axes(from), axes(to)];
    const distances = tf.addN(
      rows.map((x, axis) => tf.squaredDifference(x, columns[axis]!.transpose([0, 2, 1]))),
    ); // [B, N, M]
    const index = tf.argMin(distances, 2).toInt();
    return [tf.matMul(choice(index, to.shape[1]!), to as tf.Tensor3D), index];
  },
);

/**
 * `UnmaskTakeNearestGrad`: dto[b, m] = sum of dy[b, n] over the n with index[b, n] = m.
 * inputs dy [B, N, D], index int32 [B, N]; attrs count (M); outputs [dto [B, M, D]].
 */
const takeNearestGradKernel = kernel<{ dy: tf.Tensor; index: tf.Tensor }, { count: number }>(
  "UnmaskTakeNearestGrad",
  ({ dy, index }, { count }) => [tf.matMul(choice(index, count), dy as tf.Tensor3D, true)],
);

/** [B, N] -> [B, N, M]: 1 at the index */
const choice = (index: tf.Tensor, count: number) =>
  (count === 1
    ? tf.ones([index.shape[0]!, index.shape[1]!, 1])
    : tf.oneHot(index as tf.Tensor2D, count).toFloat()) as tf.Tensor3D;

/**
 * Of each point, the nearest of another set, the first of several. No gradient passes through the choice; with the
 * least distance itself, points that occur twice would receive their gradient twice.
 * @param from [B, N, D]
 * @param to [B, M, D]
 * @returns [B, N, D]
 */
export function takeNearest(from: tf.Tensor, to: tf.Tensor): tf.Tensor3D {
  expect(
    from.rank === 3 && to.rank === 3 && from.shape[0] === to.shape[0] && from.shape[2] === to.shape[2],
    () => `takeNearest: expected point sets [B, N, D] and [B, M, D], got [${from.shape}] and [${to.shape}]`,
  );
  const count = to.shape[1]!;
  return differentiable({ to }, ({ to }) => {
    const [value, index] = takeNearestKernel({ from, to }, {});
    return {
      value: value!,
      saved: { index },
      gradient: (dy, { index }) => ({ to: takeNearestGradKernel({ dy, index: index! }, { count })[0]! }),
    };
  }) as tf.Tensor3D;
}
