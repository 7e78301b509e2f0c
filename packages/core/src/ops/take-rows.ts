/** Selecting rows: visible tokens for an encoder, and every token back in place for a decoder. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import type { Mask } from "../masking/mask.js";
import { kernel } from "./kernel.js";

/**
 * `UnmaskTakeRows`: y[r] = x[index[r]], or `fill` (zero when absent) where index[r] is -1.
 * inputs x [R, D], index int32 [S], fill? [D]; outputs [y [S, D]].
 * Its own gradient, given the inverse index, as long as no row is taken twice.
 */
const gatherRows = kernel<{ x: tf.Tensor; index: tf.Tensor; fill?: tf.Tensor }, object>(
  "UnmaskTakeRows",
  ({ x, index, fill }) => {
    const [rows, width] = x.shape as [number, number];
    const last = fill === undefined ? tf.zeros([1, width]) : fill.reshape([1, width]);
    const absent = tf.fill(index.shape, rows, "int32");
    const present = tf.where(tf.greaterEqual(index, tf.scalar(0, "int32")), index, absent);
    return [tf.gather(tf.concat([x, last as tf.Tensor], 0), present.toInt() as tf.Tensor1D)];
  },
);

/**
 * Rows of `x` by sample, in the order given.
 * @param x [B, N, D]
 * @param index [B, K]: token indices, distinct within a sample.
 * @returns [B, K, D]
 */
export function takeRows(x: tf.Tensor, index: Int32Array): tf.Tensor3D {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const count = index.length / batch;
  expect(
    x.rank === 3 && Number.isInteger(count),
    () => `takeRows: expected x [B, N, D] and B * K indices, got [${x.shape}] and ${index.length}`,
  );
  const flat = new Int32Array(index.length);
  const inverse = new Int32Array(batch * tokens).fill(-1);
  for (let i = 0; i < index.length; i++) {
    const token = index[i]!;
    const row = Math.floor(i / count) * tokens + token;
    expect(
      token >= 0 && token < tokens && inverse[row] === -1,
      () => `takeRows: index ${token} is outside 0..${tokens - 1} or taken twice; use gatherAny for repeats`,
    );
    flat[i] = row;
    inverse[row] = i;
  }
  return permuteRows(x.reshape([batch * tokens, width]), flat, inverse).reshape([batch, count, width]);
}

/**
 * Visible tokens back at their places, the mask token everywhere else.
 * @param x [B, K, D], rows in the order of `mask.keep`
 * @param maskToken D values, any shape
 * @returns [B, N, D]
 */
export function restoreRows(x: tf.Tensor, maskToken: tf.Tensor, mask: Mask): tf.Tensor3D {
  const [batch, kept, width] = x.shape as [number, number, number];
  expect(
    batch === mask.batch && kept === mask.kept && maskToken.size === width,
    () =>
      `restoreRows: x [${x.shape}] and mask token of ${maskToken.size} do not fit a mask of ${mask.batch} x ${mask.kept} visible tokens`,
  );
  const flat = new Int32Array(batch * mask.tokens);
  const inverse = new Int32Array(batch * kept);
  for (let row = 0; row < flat.length; row++) {
    const place = mask.restore[row]!;
    const source = Math.floor(row / mask.tokens) * kept + place;
    flat[row] = place < kept ? source : -1;
    if (place < kept) inverse[source] = row;
  }
  const rows = permuteRows(x.reshape([batch * kept, width]), flat, inverse, maskToken.reshape([width]));
  return rows.reshape([batch, mask.tokens, width]);
}

/**
 * Rows of data by index, repeats allowed, and `fill` where the index is -1. The gradient is that of `fill` alone.
 * @param x [R, D], data
 * @param fill D values, any shape
 * @returns [S, D]
 */
export function takeOrFill(x: tf.Tensor, index: Int32Array, fill: tf.Tensor): tf.Tensor2D {
  const [rows, width] = x.shape as [number, number];
  expect(
    x.rank === 2 && fill.size === width && index.every((i) => i >= -1 && i < rows),
    () => `takeOrFill: x [${x.shape}], ${fill.size} values to fill with, indices from -1 to ${rows - 1}`,
  );
  return tf.customGrad((blank) => ({
    value: tf.tidy(
      () => gatherRows({ x, index: tf.tensor1d(index, "int32"), fill: blank as tf.Tensor }, {})[0]!,
    ),
    gradFunc: (dy: tf.Tensor) => sumOfFilled(dy, index),
  }))(fill.reshape([width])) as tf.Tensor2D;
}

/** Sum of the rows whose index is -1: [S, D] -> [D] */
const sumOfFilled = (dy: tf.Tensor, index: Int32Array) =>
  tf.tidy(() => {
    const blanks = tf.tensor2d(
      Float32Array.from(index, (i) => (i < 0 ? 1 : 0)),
      [1, index.length],
    );
    return tf.matMul(blanks, dy as tf.Tensor2D).reshape([dy.shape[1]!]);
  });

/** y[r] = x[index[r]] or `fill`; `inverse[i]` is the r with index[r] = i, or -1. */
function permuteRows(x: tf.Tensor, index: Int32Array, inverse: Int32Array, fill?: tf.Tensor): tf.Tensor {
  const take = (source: tf.Tensor, rows: Int32Array, blank?: tf.Tensor) =>
    tf.tidy(() => gatherRows({ x: source, index: tf.tensor1d(rows, "int32"), fill: blank }, {})[0]!);
  if (fill === undefined)
    return tf.customGrad((source) => ({
      value: take(source as tf.Tensor, index),
      gradFunc: (dy) => take(dy, inverse),
    }))(x);
  return tf.customGrad((source, blank) => ({
    value: take(source as tf.Tensor, index, blank as tf.Tensor),
    gradFunc: (dy) => [take(dy, inverse), sumOfFilled(dy, index)],
  }))(x, fill);
}
