/** Products of two sets of rows on the engine, a bounded block at a time. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";

/** Products held at once: 16 MiB as float32. */
const BLOCK = 2 ** 22;

export interface ProductBlock {
  /** First row of `a` in this block. */
  readonly start: number;
  readonly rows: number;
  /** [rows, rows of b] */
  readonly products: Float32Array;
}

/**
 * Every row of `a` times every row of `b`, in blocks of rows of `a`.
 * @param a [n, width]
 * @param b [m, width]; kept on the engine until the last block is taken
 */
export async function* rowProducts(
  a: Float32Array,
  b: Float32Array,
  width: number,
  block = BLOCK,
): AsyncGenerator<ProductBlock> {
  const n = a.length / width;
  const m = b.length / width;
  const step = Math.max(1, Math.floor(block / m));
  const right = tf.tensor2d(b, [m, width]);
  try {
    for (let start = 0; start < n; start += step) {
      const rows = Math.min(step, n - start);
      const left = tf.tensor2d(a.subarray(start * width, (start + rows) * width), [rows, width]);
      const product = tf.matMul(left, right, false, true); // [rows, m]
      left.dispose();
      const products = (await product.data()) as Float32Array;
      product.dispose();
      yield { start, rows, products };
    }
  } finally {
    right.dispose();
  }
}

/** Rows scaled to length 1, as a copy; a row of zeros stays zero. */
export function unitRows(name: string, values: Float32Array, width: number): Float32Array {
  const unit = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += width) {
    let squares = 0;
    for (let i = start; i < start + width; i++) squares += values[i]! ** 2;
    expect(
      Number.isFinite(squares),
      () => `${name}: row ${start / width} of the features is not finite; check the encoder and its inputs`,
    );
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = start; i < start + width; i++) unit[i] = values[i]! * scale;
  }
  return unit;
}
