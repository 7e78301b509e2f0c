import * as tf from "@tensorflow/tfjs";
import { createRandom } from "@unmask/core";
import { onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { cosineSchedule, noised, sampleDiffusion } from "./diffusion.js";

it("loses the signal by the cosine schedule", () => {
  const schedule = cosineSchedule(100);
  const level = (t: number) => Math.cos(((t / 100 + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
  for (const t of [0, 10, 50, 90]) expect(schedule[t]).toBeCloseTo(level(t + 1) / level(0), 9);
  expect(schedule[99]).toBeLessThan(1e-5);
});

await onEveryEngine("diffusion", () => {
  it("draws from a distribution whose denoiser is known", () => {
    // Values that are 3 or -3: what is seen in x is 3 tanh(3 x sqrt(a) / (1 - a)).
    const schedule = cosineSchedule(50);
    const drawn = sampleDiffusion([200, 1, 1], schedule, createRandom(1), (x, t) => {
      const left = schedule[t]!;
      return tf.mul(tf.tanh(tf.mul(x, (3 * Math.sqrt(left)) / (1 - left))), 3) as tf.Tensor3D;
    }).dataSync();
    expect(drawn.every((value) => Math.abs(Math.abs(value) - 3) < 0.1)).toBe(true);
    const above = drawn.filter((value) => value > 0).length;
    expect(above).toBeGreaterThan(70);
    expect(above).toBeLessThan(130);
  });

  it("adds noise so that variance 1 stays 1", () => {
    const noise = tf.ones([2, 1, 1]);
    const both = noised(
      tf.zeros([2, 1, 1]),
      { times: Int32Array.of(0, 99), noise },
      cosineSchedule(100),
    ).dataSync();
    expect(both[0]).toBeLessThan(0.1);
    expect(both[1]).toBeCloseTo(1, 3);
  });
});
