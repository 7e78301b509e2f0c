import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { BadSampleError } from "../errors.js";
import { createRandom } from "../random.js";
import { createDataset } from "../train/dataset.js";
import { extractFeatures } from "./features.js";

/** Sample i is the number i, or unreadable. */
const numbers = (length: number, bad: number[] = [], onGet?: (i: number) => void) =>
  createDataset<number>({
    name: "numbers",
    length,
    labels: Int32Array.from({ length }, (_, i) => i % 3),
    classes: ["a", "b", "c"],
    nameOf: (i) => `n${i}`,
    async get(i, random) {
      onGet?.(i);
      await new Promise((resolve) => setTimeout(resolve, (length - i) % 4)); // not in order
      if (bad.includes(i)) throw new BadSampleError(`n${i}`, "cut short");
      return random === undefined ? i : i + random.uniform();
    },
  });

const pair = (samples: readonly number[]) => Float32Array.from(samples.flatMap((s) => [s, 10 * s]));

describe("extractFeatures", () => {
  it("gives a row for every sample that can be read, in order, and lists the others", async () => {
    const progress: unknown[] = [];
    const found = await extractFeatures(pair, numbers(11, [0, 4, 5]), {
      batchSize: 2,
      onProgress: (p) => progress.push(p),
    });
    const kept = [1, 2, 3, 6, 7, 8, 9, 10];
    expect(found.width).toBe(2);
    expect([...found.features]).toEqual(kept.flatMap((i) => [i, 10 * i]));
    expect([...found.labels!]).toEqual(kept.map((i) => i % 3));
    expect(found.names).toEqual(kept.map((i) => `n${i}`));
    expect(found.skipped).toEqual(
      [0, 4, 5].map((index) => ({ index, sample: `n${index}`, reason: "cut short" })),
    );
    expect(progress[0]).toEqual({ done: 2, total: 11, skipped: 1 });
    expect(progress.at(-1)).toEqual({ done: 11, total: 11, skipped: 3 });
  });

  it("encodes with a model, passes the pooling on and keeps no tensor", async () => {
    const pools: unknown[] = [];
    const model = {
      encode(samples: readonly number[], options?: object) {
        pools.push(options);
        return tf.tensor2d([...samples], [samples.length, 1]);
      },
    };
    const before = tf.memory().numTensors;
    const found = await extractFeatures(model, numbers(5), { batchSize: 3, pool: "cls" });
    expect([...found.features]).toEqual([0, 1, 2, 3, 4]);
    expect(pools).toEqual([{ pool: "cls" }, { pool: "cls" }]);
    expect(tf.memory().numTensors).toBe(before);
    const tokens = { encode: () => tf.zeros([5, 7, 2]) };
    await expect(extractFeatures(tokens, numbers(5))).rejects.toThrow(
      "expected features [5, D], got [5,7,2]",
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it("reads ahead while it encodes, but not further than one batch", async () => {
    let furthest = -1;
    const seen: number[] = [];
    await extractFeatures(
      (samples: readonly number[]) => {
        seen.push(furthest);
        return pair(samples);
      },
      numbers(8, [], (i) => {
        furthest = Math.max(furthest, i);
      }),
      { batchSize: 2 },
    );
    expect(seen).toEqual([3, 5, 7, 7]);
  });

  it("draws the training view of a sample from the seed alone", async () => {
    const views = async (batchSize: number) =>
      (await extractFeatures(pair, numbers(9), { batchSize, random: createRandom(4) })).features;
    expect([...(await views(2))]).toEqual([...(await views(5))]);
    expect([...(await views(2))]).not.toEqual([...(await extractFeatures(pair, numbers(9))).features]);
  });

  it("stops at an error that is not a bad sample, and when nothing can be read", async () => {
    const broken = createDataset<number>({
      name: "broken",
      length: 4,
      get: async () => {
        throw new TypeError("a defect");
      },
    });
    await expect(extractFeatures(pair, broken, { batchSize: 2 })).rejects.toThrow(TypeError);
    await expect(extractFeatures(pair, numbers(2, [0, 1]))).rejects.toThrow(
      "none of the 2 samples of numbers can be read (cut short)",
    );
    await expect(extractFeatures(pair, numbers(0))).rejects.toThrow("it is empty");
    await expect(extractFeatures(pair, numbers(2), { batchSize: 0 })).rejects.toThrow("batchSize must be");
    const ragged = (samples: readonly number[]) =>
      new Float32Array(samples.length * (samples[0]! < 2 ? 1 : 2));
    await expect(extractFeatures(ragged, numbers(4), { batchSize: 2 })).rejects.toThrow("rows of 1 and of 2");
  });
});
