import { describe, expect, it } from "vitest";
import { toyData } from "../../test/toy.js";
import { BadSampleError } from "../errors.js";
import { createRandom } from "../random.js";
import { createDataset, type Dataset } from "./dataset.js";
import { createLoader, type LoadedSamples, type LoaderOptions } from "./loader.js";
import { createSampler } from "./sampler.js";

function loaderOf<S>(dataset: Dataset<S>, options: Partial<LoaderOptions<S>> = {}) {
  const random = createRandom(4);
  const sampler = createSampler(dataset.length, 8, random);
  return createLoader({ dataset, sampler, random, firstStep: 0, steps: 12, ...options });
}

async function load(dataset: Dataset<Float32Array>, options: Partial<LoaderOptions<Float32Array>> = {}) {
  const loader = loaderOf(dataset, options);
  const loaded: LoadedSamples<Float32Array>[] = [];
  for (let step = options.firstStep ?? 0; step < 12; step++) loaded.push(await loader.next());
  return loaded;
}

describe("loader", () => {
  it("gives the same samples however long each read takes and however far it reads ahead", async () => {
    const bad = [3, 17, 18];
    const expected = await load(toyData(40, { bad }), { ahead: 0, concurrency: 1 });
    expect(await load(toyData(40, { bad, delay: 4 }))).toEqual(expected);
  });

  it("gives the same from the middle as from the start", async () => {
    const dataset = toyData(40, { bad: [3, 17, 18], delay: 1 });
    expect(await load(dataset, { firstStep: 7 })).toEqual((await load(dataset)).slice(7));
  });

  it("fills the place of a sample that cannot be read with another, and says which and why", async () => {
    const loaded = await load(toyData(16, { bad: [5, 9] }));
    for (const { samples, indices } of loaded) {
      expect(samples).toHaveLength(8);
      expect(indices).not.toContain(5);
    }
    const skipped = loaded.slice(0, 2).flatMap((step) => step.skipped);
    expect(new Set(skipped.map(({ index }) => index))).toEqual(new Set([5, 9]));
    expect(skipped[0]).toMatchObject({ sample: `vector-${skipped[0]!.index}`, reason: "is damaged" });
  });

  it("does not read again what is known to be bad", async () => {
    const reads: number[] = [];
    const dataset = createDataset<number>({
      name: "counted",
      length: 16,
      async get(index) {
        reads.push(index);
        if (index === 5) throw new BadSampleError("five", "bad");
        return index;
      },
    });
    const loader = loaderOf(dataset, { known: [{ index: 5, sample: "five", reason: "bad" }] });
    const first = [await loader.next(), await loader.next()].flatMap(({ skipped }) => skipped);
    expect(first[0]).toEqual({ index: 5, sample: "five", reason: "bad" });
    expect(reads).not.toContain(5);
  });

  it("stops with the first in strict mode, the one that comes first in the batch", async () => {
    const loader = loaderOf(toyData(40, { bad: Array.from({ length: 40 }, (_, i) => i), delay: 4 }), {
      strict: true,
    });
    const first = createSampler(40, 8, createRandom(4)).indicesOf(0)[0];
    await expect(loader.next()).rejects.toThrow(new RegExp(`^vector-${first}: is damaged$`));
  });

  it("gives up where nothing can be read", async () => {
    const loader = loaderOf(toyData(10, { bad: Array.from({ length: 10 }, (_, i) => i) }));
    await expect(loader.next()).rejects.toThrow(/none of the 10 samples of toy vectors could be read/);
  });

  it("passes on an error that is not about the sample", async () => {
    const dataset = createDataset<number>({
      name: "broken",
      length: 8,
      get: () => Promise.reject(new TypeError("a bug in the reader")),
    });
    await expect(loaderOf(dataset).next()).rejects.toThrow(TypeError);
  });

  it("reads no more at once than it may, and nothing once closed", async () => {
    let [reading, most, begun] = [0, 0, 0];
    const dataset = createDataset<number>({
      name: "slow",
      length: 80,
      async get(index) {
        begun++;
        most = Math.max(most, ++reading);
        await new Promise((resolve) => setTimeout(resolve, 1));
        reading--;
        return index;
      },
    });
    const loader = loaderOf(dataset, { concurrency: 3 });
    await loader.next();
    loader.close();
    const until = begun;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(most).toBe(3);
    expect(begun).toBe(until);
  });
});
