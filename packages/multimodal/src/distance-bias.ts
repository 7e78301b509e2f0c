/** 2-D ALiBi between the visible places of a grid: a bias by distance, which grids larger than those trained on have too. */
import * as tf from "@tensorflow/tfjs";
import { alibi2d, alibiSlopes, type Mask } from "@unmask/core";

/**
 * -slope * Euclidean distance between the places that queries and keys have on one grid [rows, columns].
 * @param queries the visible places of one sequence, @param keys of the other; without masks all places
 * @returns [B, heads, K, M], or [1, heads, N, N] without masks
 */
export function distanceBias(
  heads: number,
  grid: readonly [number, number],
  queries?: Mask,
  keys?: Mask,
): tf.Tensor4D {
  if (queries === undefined || keys === undefined) return alibi2d(heads, grid);
  const [from, to, columns] = [queries.kept, keys.kept, grid[1]];
  const distances = new Float32Array(queries.batch * from * to);
  for (let b = 0, at = 0; b < queries.batch; b++)
    for (let i = 0; i < from; i++) {
      const q = queries.keep[b * from + i]!;
      for (let j = 0; j < to; j++, at++) {
        const k = keys.keep[b * to + j]!;
        distances[at] = Math.hypot(
          Math.floor(q / columns) - Math.floor(k / columns),
          (q % columns) - (k % columns),
        );
      }
    }
  const slopes = tf.tensor4d(alibiSlopes(heads), [1, heads, 1, 1]);
  return tf.mul(tf.neg(slopes), tf.tensor4d(distances, [queries.batch, 1, from, to]));
}
