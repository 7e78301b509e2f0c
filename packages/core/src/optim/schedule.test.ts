import { describe, expect, it } from "vitest";
import recorded from "../../test/fixtures/optim/mae-train.json" with { type: "json" };
import { cosineSchedule, scaleLr, stepSchedule } from "./schedule.js";

describe("cosineSchedule", () => {
  const { lr, minLr, warmupEpochs, epochs, table, steps } = recorded;
  const schedule = cosineSchedule({ lr, minLr, warmupEpochs, epochs });

  it.each([
    ["table", table],
    ["steps", steps],
  ])("gives MAE's recorded %s", (_, { epochs, lrs }) => {
    expect(epochs.length).toBeGreaterThan(7);
    epochs.forEach((epoch, i) => {
      expect(Math.abs(schedule(epoch) - lrs[i]!)).toBeLessThanOrEqual(1e-9);
    });
  });

  it("stays at the lowest rate after its end", () => expect(schedule(7)).toBe(minLr));

  it("starts at the full rate without warm-up", () =>
    expect(cosineSchedule({ lr: 0.1, epochs: 3 })(0)).toBe(0.1));

  it("refuses a warm-up as long as the training", () =>
    expect(() => cosineSchedule({ lr, warmupEpochs: 6, epochs: 6 })).toThrow(/warmupEpochs.*6 of 6/));
});

describe("stepSchedule", () => {
  it("rises through the warm-up and falls at each milestone", () => {
    const schedule = stepSchedule({ lr: 0.1, milestones: [4, 6], gamma: 0.5, warmupEpochs: 2 });
    expect([0, 1, 2, 3.9, 4, 6].map(schedule)).toEqual([0, 0.05, 0.1, 0.1, 0.05, 0.025]);
  });
});

it("scales the base rate to the batch", () => expect(scaleLr(1.5e-4, 4096)).toBeCloseTo(2.4e-3, 15));
