/** Sums of rows that share a segment (edges by node, atoms by molecule), and the gather that is their gradient. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { kernel } from "./kernel.js";

/**
 * `UnmaskSegmentSum`: y[s] = sum of x[r] over the r with segments[r] = s.
 * inputs x [R, D], segments int32 [R]; attrs count; outputs [y [count, D]].
 *
 * The composition adds rows of one segment pairwise, halving their number each pass: gathers and additions
 * only, since wasm has no UnsortedSegmentSum, and the sum's rounding error grows with log R.
 */
export const segmentSumKernel = kernel<{ x: tf.Tensor; segments: tf.Tensor }, { count: number }>(
  "UnmaskSegmentSum",
  ({ x, segments }, { count }) => [foldSegments(x, segments.dataSync() as Int32Array, count, tf.add, 0)],
);

/** Folds the rows of each segment pairwise; a segment without rows is `blank`. [R, D] -> [count, D] */
export function foldSegments(
  x: tf.Tensor,
  segments: Int32Array,
  count: number,
  combine: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  blank: number,
): tf.Tensor {
  const width = x.shape[1]!;
  let members: number[][] = Array.from({ length: count }, () => []);
  segments.forEach((segment, row) => {
    members[segment]!.push(row);
  });
  let rows = x;
  const pick = (ids: number[]) =>
    tf.gather(tf.concat([rows, tf.fill([1, width], blank)], 0), tf.tensor1d(ids, "int32"));
  while (members.some((rowsOf) => rowsOf.length > 1)) {
    const none = rows.shape[0]!;
    const left: number[] = [];
    const right: number[] = [];
    members = members.map((rowsOf) => {
      const next: number[] = [];
      for (let i = 0; i < rowsOf.length; i += 2) {
        next.push(left.length);
        left.push(rowsOf[i]!);
        right.push(rowsOf[i + 1] ?? none);
      }
      return next;
    });
    rows = combine(pick(left), pick(right));
  }
  const none = rows.shape[0]!;
  return pick(members.map((rowsOf) => rowsOf[0] ?? none));
}

/** `UnmaskGatherAny`: y[r] = x[index[r]]; inputs x [R, D], index int32 [S]; outputs [y [S, D]]. */
const gatherKernel = kernel<{ x: tf.Tensor; index: tf.Tensor }, object>("UnmaskGatherAny", ({ x, index }) => [
  tf.gather(x, index as tf.Tensor1D),
]);

/**
 * Sum of the rows of each segment.
 * @param x [R, D]
 * @param segments R indices in 0..count-1, in any order
 * @returns [count, D]; a segment without rows is zero
 */
export function segmentSum(x: tf.Tensor, segments: Int32Array, count: number): tf.Tensor2D {
  check("segmentSum", segments, count);
  expect(
    x.rank === 2 && x.shape[0] === segments.length,
    () => `segmentSum: expected x [${segments.length}, D], got [${x.shape}]`,
  );
  return tf.customGrad((rows) => ({
    value: sumRows(rows as tf.Tensor, segments, count),
    gradFunc: (dy) => pickRows(dy, segments),
  }))(x) as tf.Tensor2D;
}

/**
 * Rows by index, repeats allowed (embedding look-up, source features of edges); the gradient is `segmentSum`.
 * @param x [R, D]
 * @returns [S, D]
 */
export function gatherAny(x: tf.Tensor, index: Int32Array): tf.Tensor2D {
  expect(x.rank === 2, () => `gatherAny: expected x [R, D], got [${x.shape}]`);
  const rows = x.shape[0]!;
  check("gatherAny", index, rows);
  return tf.customGrad((source) => ({
    value: pickRows(source as tf.Tensor, index),
    gradFunc: (dy) => sumRows(dy, index, rows),
  }))(x) as tf.Tensor2D;
}

const sumRows = (x: tf.Tensor, segments: Int32Array, count: number) =>
  tf.tidy(() => segmentSumKernel({ x, segments: tf.tensor1d(segments, "int32") }, { count })[0]!);

const pickRows = (x: tf.Tensor, index: Int32Array) =>
  tf.tidy(() => gatherKernel({ x, index: tf.tensor1d(index, "int32") }, {})[0]!);

function check(name: string, index: Int32Array, count: number): void {
  const stray = index.find((i) => !(i >= 0 && i < count));
  expect(stray === undefined, () => `${name}: index ${stray} is outside 0..${count - 1}`);
}
