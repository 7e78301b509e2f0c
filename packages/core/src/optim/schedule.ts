/** Learning rate as a function of the epoch, which counts in fractions within an epoch. */
import { expect } from "../errors.js";

export type Schedule = (epoch: number) => number;

/** MAE's linear scaling: `blr * samples per update / 256`. */
export function scaleLr(blr: number, batchSize: number): number {
  return (blr * batchSize) / 256;
}

export interface CosineOptions {
  readonly lr: number;
  readonly minLr?: number;
  readonly warmupEpochs?: number;
  readonly epochs: number;
}

/** Linear from 0 to `lr` over the warm-up, then half a cosine down to `minLr` at `epochs`. */
export function cosineSchedule({ lr, minLr = 0, warmupEpochs = 0, epochs }: CosineOptions): Schedule {
  expect(
    warmupEpochs >= 0 && warmupEpochs < epochs,
    `cosineSchedule: warmupEpochs must be in [0, epochs), got ${warmupEpochs} of ${epochs}; shorten the warm-up`,
  );
  return (epoch) => {
    if (epoch < warmupEpochs) return (lr * epoch) / warmupEpochs;
    const progress = (Math.min(epoch, epochs) - warmupEpochs) / (epochs - warmupEpochs);
    return minLr + (lr - minLr) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}

export interface StepScheduleOptions {
  readonly lr: number;
  /** Epochs from which on the rate is `gamma` times what it was. */
  readonly milestones: readonly number[];
  readonly gamma?: number;
  readonly warmupEpochs?: number;
}

/** Linear from 0 over the warm-up, then constant between milestones. */
export function stepSchedule({
  lr,
  milestones,
  gamma = 0.1,
  warmupEpochs = 0,
}: StepScheduleOptions): Schedule {
  return (epoch) =>
    epoch < warmupEpochs
      ? (lr * epoch) / warmupEpochs
      : lr * gamma ** milestones.filter((milestone) => epoch >= milestone).length;
}
