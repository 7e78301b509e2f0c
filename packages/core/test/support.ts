/** What the tests beside the sources share: recorded reference numbers and comparison by the largest entry. */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { expect } from "vitest";
import { toFloat32, toInt32 } from "../src/io/raw-tensor.js";
import { parseSafetensors } from "../src/io/safetensors.js";

export interface Recorded {
  readonly names: readonly string[];
  /** The tensor of that name, new at every call. */
  tensor(name: string): tf.Tensor;
  ints(name: string): Int32Array;
}

/** Reads `test/goldens/NAME/golden.safetensors`. */
export const readGolden = (name: string) => readRecorded(`./goldens/${name}/golden.safetensors`);

/** Reads `test/fixtures/NAME.safetensors`. */
export const readFixture = (name: string) => readRecorded(`./fixtures/${name}.safetensors`);

function readRecorded(path: string): Recorded {
  const { tensors } = parseSafetensors(readFileSync(new URL(path, import.meta.url)));
  const get = (name: string) => {
    const raw = tensors.get(name);
    if (raw === undefined) throw new Error(`${path} holds no tensor named ${name}`);
    return raw;
  };
  return {
    names: [...tensors.keys()],
    tensor: (name) => tf.tensor(toFloat32(get(name)), [...get(name).shape]),
    ints: (name) => toInt32(get(name)),
  };
}

/** Largest difference, relative to the largest entry expected, within `tolerance`; shapes equal. */
export function expectClose(actual: tf.Tensor, expected: tf.Tensor, tolerance = 2e-5, what = ""): void {
  expect(actual.shape, what).toEqual(expected.shape);
  const [got, want] = [Float32Array.from(actual.dataSync()), Float32Array.from(expected.dataSync())];
  const scale = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const worst = want.reduce((most, value, i) => {
    const difference = Math.abs(got[i]! - value) / scale;
    return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(most, difference);
  }, 0);
  expect(worst, `${what}: largest relative difference`).toBeLessThanOrEqual(tolerance);
}

/**
 * A function's value and its gradient by every input against a recorded case (CASE.in.X, CASE.out, CASE.grad.X);
 * entries of the value are weighed by sin(1 + i), so that a gradient in the wrong place cannot pass.
 */
export function expectCase(
  recorded: Recorded,
  name: string,
  inputs: readonly string[],
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
): void {
  const xs = inputs.map((input) => recorded.tensor(`${name}.in.${input}`));
  expectClose(f(...xs), recorded.tensor(`${name}.out`), 2e-6, name);
  const weighed = (...given: tf.Tensor[]) => {
    const value = f(...given);
    const weights = Float32Array.from({ length: value.size }, (_, i) => Math.sin(i + 1));
    return tf.sum(tf.mul(value, tf.tensor(weights, value.shape)));
  };
  tf.grads(weighed)(xs).forEach((gradient, i) => {
    const what = `${name}: gradient of ${inputs[i]}`;
    expectClose(gradient, recorded.tensor(`${name}.grad.${inputs[i]}`), 2e-5, what);
  });
}
