/** Running the same computation on two backends. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { expect } from "vitest";

export interface Sample {
  readonly values: Float32Array | Int32Array;
  readonly shape: number[];
  readonly dtype: "float32" | "int32" | "bool";
}

export interface Result {
  readonly shape: number[];
  readonly dtype: string;
  readonly values: ArrayLike<number>;
}

let state = 12345;
/** The next of a fixed sequence of numbers in (-1, 1). */
export function next(): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return state / 0x40000000 - 1;
}

export const sample = (shape: number[], scale = 1): Sample => ({
  values: Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => next() * scale),
  shape,
  dtype: "float32",
});

/** The results of `compute` on a backend, its tensors disposed. */
export function on(backend: string, compute: () => tf.Tensor | tf.Tensor[]): Result[] {
  tf.setBackend(backend);
  const results: Result[] = [];
  tf.tidy(() => {
    for (const tensor of [compute()].flat())
      results.push({ shape: tensor.shape, dtype: tensor.dtype, values: tensor.dataSync() });
  });
  return results;
}

export const onNative = (compute: () => tf.Tensor | tf.Tensor[]): Result[] => on("native", compute);

/**
 * Equal shapes, and no entry further apart than `tolerance` times the largest (finite) expected one, or times `floor`
 * where that is more: results that cancel carry the rounding of their terms.
 */
export function closeTo(actual: Result, expected: Result, tolerance: number, floor = 1e-2): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.values.length).toBe(expected.values.length);
  let largest = floor;
  for (const value of Array.from(expected.values))
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  for (let i = 0; i < expected.values.length; i++) {
    const [a, e] = [actual.values[i]!, expected.values[i]!];
    const same = Object.is(a, e) || a === e || Math.abs(a - e) <= tolerance * largest;
    if (!same) expect.fail(`entry ${i} of [${expected.shape}]: ${a} instead of ${e}, largest ${largest}`);
  }
}

/** Checks cases of an arbitrary, the same ones in every run. */
export const run = <T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => void, numRuns = 60) =>
  fc.assert(fc.property(arbitrary, check), { numRuns, seed: 5 });

/** The native backend computes what tfjs's CPU backend does. */
export function agree(compute: () => tf.Tensor | tf.Tensor[], tolerance = 2e-6, floor = 1e-2): void {
  const expected = on("cpu", compute);
  const actual = on("native", compute);
  expect(actual.length).toBe(expected.length);
  for (const [i, result] of expected.entries()) closeTo(actual[i]!, result, tolerance, floor);
}

const special = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1e-40,
  -1e-40,
  88.8,
  -88.8,
  200,
  1,
];

/** Values for a shape; with `odd`, about a third are special. Made once, so that both backends see the same. */
function values(shape: number[], odd = false, scale = 3): Float32Array {
  return Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () =>
    odd && next() > 0.3 ? special[Math.floor(Math.abs(next()) * special.length)]! : next() * scale,
  );
}

/** A maker of the same tensor each time it is called. */
export function tensor(shape: number[], odd = false, scale = 3): () => tf.Tensor {
  const data = values(shape, odd, scale);
  return () => tf.tensor(data.slice(), shape);
}
