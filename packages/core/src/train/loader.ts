/**
 * Reads the samples of coming steps while the present one computes. What a step gets is determined by the seed and the
 * step, never by what was read first or how far ahead, so that a resumed run reads what an uninterrupted one would.
 */
import { BadSampleError, UnmaskError } from "../errors.js";
import type { Random } from "../random.js";
import type { Dataset } from "./dataset.js";
import type { Sampler } from "./sampler.js";

/** A sample that could not be read. */
export interface SkippedSample {
  readonly index: number;
  /** What the data set calls it. */
  readonly sample: string;
  readonly reason: string;
}

export interface LoadedSamples<S> {
  readonly samples: readonly S[];
  readonly indices: readonly number[];
  /** Samples that were met and could not be read, in order; another sample, drawn at random, took the place of each. */
  readonly skipped: readonly SkippedSample[];
}

export interface Loader<S> {
  /** Samples of the next step. */
  next(): Promise<LoadedSamples<S>>;
  /** Starts no further reads. */
  close(): void;
}

export interface LoaderOptions<S> {
  readonly dataset: Dataset<S>;
  readonly sampler: Sampler;
  readonly random: Random;
  readonly firstStep: number;
  readonly steps: number;
  /** Samples known to be unreadable. */
  readonly known?: Iterable<SkippedSample>;
  /** Reject with the first unreadable sample rather than replace it. */
  readonly strict?: boolean;
  /** Steps read beyond the one asked for. */
  readonly ahead?: number;
  /** Most reads at once. A step computes without a pause, so this is also how many samples are read meanwhile. */
  readonly concurrency?: number;
}

export function createLoader<S>({
  dataset,
  sampler,
  random,
  firstStep,
  steps,
  known = [],
  strict = false,
  ahead = 2,
  concurrency = 64,
}: LoaderOptions<S>): Loader<S> {
  const bad = new Map<number, SkippedSample>();
  for (const skipped of known) bad.set(skipped.index, skipped);
  const limit = createLimit(concurrency);
  const pending = new Map<number, Promise<LoadedSamples<S>>>();
  let step = firstStep;

  /** The sample, or undefined where it cannot be read. */
  const read = async (epoch: number, index: number): Promise<{ sample: S } | undefined> => {
    if (bad.has(index)) return undefined;
    try {
      return { sample: await limit.run(() => dataset.get(index, random.child("view", epoch, index))) };
    } catch (error) {
      if (!(error instanceof BadSampleError) || strict) throw error;
      bad.set(index, { index, sample: error.sample, reason: error.reason });
      return undefined;
    }
  };

  const fill = async (ofStep: number, place: number, wanted: number) => {
    const epoch = sampler.epochOf(ofStep);
    const skipped: SkippedSample[] = [];
    const replacements = random.child("replacement", ofStep, place);
    for (let index = wanted; ; index = replacements.int(dataset.length)) {
      const found = await read(epoch, index);
      if (found !== undefined) return { index, sample: found.sample, skipped };
      skipped.push(bad.get(index)!);
      if (bad.size === dataset.length) throw unreadable(dataset, skipped[0]!);
    }
  };

  const load = async (ofStep: number): Promise<LoadedSamples<S>> => {
    const wanted = sampler.indicesOf(ofStep);
    const settled = await Promise.allSettled(
      Array.from(wanted, (index, place) => fill(ofStep, place, index)),
    );
    const filled = settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    return {
      samples: filled.map(({ sample }) => sample),
      indices: filled.map(({ index }) => index),
      skipped: filled.flatMap(({ skipped }) => skipped),
    };
  };

  return {
    next() {
      for (let s = step; s <= Math.min(step + ahead, steps - 1); s++)
        if (!pending.has(s)) {
          const loading = load(s);
          loading.catch(() => undefined); // whoever takes this step gets the error; nobody else needs it
          pending.set(s, loading);
        }
      const next = pending.get(step)!;
      pending.delete(step++);
      return next;
    },
    close: () => limit.close(),
  };
}

function unreadable(dataset: Dataset<unknown>, first: SkippedSample): UnmaskError {
  return new UnmaskError(
    `loader: none of the ${dataset.length} samples of ${dataset.name} could be read; the first, ${first.sample}: ${first.reason}`,
  );
}

/** Runs at most `most` tasks at once, in the order they came; after `close`, none that has not begun. */
function createLimit(most: number) {
  const waiting: (() => void)[] = [];
  let free = most;
  let closed = false;
  const enter = () => {
    if (free === 0) return new Promise<void>((resolve) => waiting.push(resolve));
    free--;
    return Promise.resolve();
  };
  const leave = () => {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next(); // passes its place on
  };
  return {
    async run<T>(task: () => Promise<T>): Promise<T> {
      await enter();
      try {
        if (closed) throw new UnmaskError("loader: closed");
        return await task();
      } finally {
        leave();
      }
    },
    close() {
      closed = true;
    },
  };
}
