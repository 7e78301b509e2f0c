/** Fixed position tables, computed in double precision, and their interpolation to other grids. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";

/** Positions 0..n-1 when a number, else the positions themselves. */
export type Positions = number | ArrayLike<number>;

export interface SinCos2dOptions {
  /**
   * Which coordinate the first half of the channels encodes: "column-first" is the table of MAE and its family,
   * "row-first" that of MoCo v3 and its family (BootMAE, CMAE, MultiMAE). On a grid that is not square the code of
   * that family lays its table out over [columns, rows]; pass the grid so swapped to reproduce its numbers.
   */
  readonly order?: "column-first" | "row-first";
  /** Puts a row of zeros for a cls token in front. */
  readonly cls?: boolean;
}

/**
 * Two-dimensional sine-cosine table over a grid [rows, columns], tokens row-major. With w_k = 10000^(-k / (D/4)),
 * each half of the channels is [sin(p w), cos(p w)] in blocks, p being the column or the row.
 * @param width D, divisible by 4
 * @returns [cls + rows * columns, D]
 */
export function sinCos2d(
  grid: readonly [number, number],
  width: number,
  { order = "column-first", cls = false }: SinCos2dOptions = {},
): tf.Tensor2D {
  expect(
    width % 4 === 0,
    () => `sinCos2d: width ${width} is not divisible by 4; use ${nextMultiple(width, 4)}`,
  );
  const [rows, columns] = grid;
  const half = width / 2;
  const first = cls ? 1 : 0;
  const values = new Float32Array((first + rows * columns) * width);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const at = (first + row * columns + column) * width;
      const [one, two] = order === "column-first" ? [column, row] : [row, column];
      writeBlocks(values, at, one, half);
      writeBlocks(values, at + half, two, half);
    }
  return tf.tensor2d(values, [first + rows * columns, width]);
}

/**
 * One-dimensional sine-cosine table in blocks, [sin(p w), cos(p w)] with w_k = 10000^(-k / (D/2)):
 * one half of {@link sinCos2d}.
 * @param width D, even
 * @returns [positions, D]
 */
export function sinCosBlocks1d(positions: Positions, width: number): tf.Tensor2D {
  expect(width % 2 === 0, () => `sinCosBlocks1d: width ${width} is odd; use ${width + 1}`);
  return table1d(positions, width, writeBlocks);
}

/**
 * One-dimensional sine-cosine table, interleaved (VideoMAE and its family): the angle of channel j at position p is
 * p / 10000^(2 floor(j/2) / D); even channels hold the sine, odd ones the cosine.
 * @param width D, odd widths too
 * @returns [positions, D]
 */
export function sinCos1d(positions: Positions, width: number): tf.Tensor2D {
  return table1d(positions, width, (values, at, position) => {
    for (let j = 0; j < width; j++) {
      const angle = position / 10000 ** ((2 * Math.floor(j / 2)) / width);
      values[at + j] = j % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  });
}

/**
 * A position table resized to another grid: bicubic with a = -0.75 and half-pixel centres, no antialiasing, as
 * PyTorch's `interpolate(mode="bicubic", align_corners=False)`. Rows of cls tokens are kept. Differentiable.
 * @param table [1, cls + N, D], tokens row-major over `from`
 * @param from grid [rows, columns] of the table
 * @param to grid wanted
 * @param options.cls number of leading rows that stand for no grid position
 * @returns [1, cls + rows * columns, D]
 */
export function interpolatePositions(
  table: tf.Tensor,
  from: readonly [number, number],
  to: readonly [number, number],
  { cls = 0 }: { cls?: number } = {},
): tf.Tensor3D {
  const [one, length, width] = table.shape as [number, number, number];
  const [rows, columns] = from;
  expect(
    table.rank === 3 && one === 1 && length === cls + rows * columns,
    () =>
      `interpolatePositions: expected a table [1, ${cls + rows * columns}, D] for a grid of ${rows} x ${columns} with ${cls} leading rows, got [${table.shape}]`,
  );
  return tf.tidy(() => {
    const cells = table.slice([0, cls, 0], [1, rows * columns, width]).reshape([rows, columns * width]);
    const tall = tf.matMul(bicubicWeights(rows, to[0]), cells as tf.Tensor2D); // [to0, columns * D]
    const wide = tf.matMul(
      bicubicWeights(columns, to[1]).expandDims(0).tile([to[0], 1, 1]),
      tall.reshape([to[0], columns, width]),
    ); // [to0, to1, D]
    const resized = wide.reshape([1, to[0] * to[1], width]);
    return (
      cls === 0 ? resized : tf.concat([table.slice([0, 0, 0], [1, cls, width]), resized], 1)
    ) as tf.Tensor3D;
  });
}

/** [to, from]: what each of `from` samples along one axis contributes to each of `to` samples. */
function bicubicWeights(from: number, to: number): tf.Tensor2D {
  const weights = new Float64Array(to * from);
  for (let i = 0; i < to; i++) {
    const centre = ((i + 0.5) * from) / to - 0.5;
    const left = Math.floor(centre);
    for (let tap = left - 1; tap <= left + 2; tap++) {
      const inside = Math.min(Math.max(tap, 0), from - 1); // the border sample repeats
      weights[i * from + inside]! += cubic(Math.abs(centre - tap));
    }
  }
  return tf.tensor2d(Float32Array.from(weights), [to, from]);
}

/** Keys' cubic convolution kernel with a = -0.75 at distance `x` in [0, 2]. */
function cubic(x: number): number {
  const a = -0.75;
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

function table1d(
  positions: Positions,
  width: number,
  write: (values: Float32Array, at: number, position: number, width: number) => void,
): tf.Tensor2D {
  const given = typeof positions === "number" ? Array.from({ length: positions }, (_, i) => i) : positions;
  const values = new Float32Array(given.length * width);
  for (let i = 0; i < given.length; i++) write(values, i * width, given[i]!, width);
  return tf.tensor2d(values, [given.length, width]);
}

/** Writes [sin(p w), cos(p w)] of `width` values at `at`. */
function writeBlocks(values: Float32Array, at: number, position: number, width: number): void {
  const half = width / 2;
  for (let k = 0; k < half; k++) {
    const angle = position / 10000 ** (k / half);
    values[at + k] = Math.sin(angle);
    values[at + half + k] = Math.cos(angle);
  }
}

const nextMultiple = (value: number, of: number) => Math.max(of, Math.ceil(value / of) * of);
