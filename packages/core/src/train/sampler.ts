/** The order in which training sees the samples: a seeded permutation for each epoch, any position at once. */
import { expect } from "../errors.js";
import type { Random } from "../random.js";

export interface Sampler {
  /** Samples of one step: the size asked for, or all there are when the data set is smaller. */
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  /** Sample indices of a step counted from 0, determined by the seed and the step alone. */
  indicesOf(step: number): Int32Array;
  /** Epoch of a step, both counted from 0. */
  epochOf(step: number): number;
}

/**
 * Every epoch draws a new order, unless one is given for all; what does not fill a last batch is left out of that epoch.
 * @param order every index once
 */
export function createSampler(
  length: number,
  batchSize: number,
  random: Random,
  order?: Int32Array,
): Sampler {
  expect(length >= 1, "sampler: the data set is empty; look at its folder and file types");
  expect(
    order === undefined || isPermutation(order, length),
    () =>
      `sampler: expected an order that names each of ${length} samples once, got ${order?.length} indices`,
  );
  const size = Math.min(batchSize, length);
  const stepsPerEpoch = Math.floor(length / size);
  let drawn: { epoch: number; order: Int32Array } = { epoch: -1, order: new Int32Array() };
  const epochOf = (step: number) => Math.floor(step / stepsPerEpoch);
  return {
    batchSize: size,
    stepsPerEpoch,
    epochOf,
    indicesOf(step) {
      const epoch = epochOf(step);
      if (drawn.epoch !== epoch)
        drawn = { epoch, order: order ?? random.child("epoch", epoch).permutation(length) };
      const begin = (step - epoch * stepsPerEpoch) * size;
      return drawn.order.slice(begin, begin + size);
    },
  };
}

function isPermutation(order: Int32Array, length: number): boolean {
  return (
    order.length === length &&
    Int32Array.from(order)
      .sort()
      .every((index, i) => index === i)
  );
}
