/** A masked auto-encoder of vectors small enough for tests of training: hidden entries from the visible ones, linearly. */
import * as tf from "@tensorflow/tfjs";
import { z } from "zod";
import { BadSampleError } from "../src/errors.js";
import { maskedFlags } from "../src/masking/mask.js";
import { randomMask } from "../src/masking/random.js";
import type { Method } from "../src/method.js";
import { applyLinear, initLinear, type LinearParams } from "../src/nn/linear.js";
import { createRandom, type Random } from "../src/random.js";
import { createDataset, type Dataset } from "../src/train/dataset.js";
import type { TrainEvent } from "../src/train/events.js";
import { buffer } from "../src/tree.js";

export interface ToyConfig {
  readonly width: number;
  readonly hidden: number;
  readonly ratio: number;
}

interface ToyBatch {
  /** [B, width] */
  readonly x: tf.Tensor2D;
  /** [B, width]: 1 where an entry is hidden. */
  readonly hidden: tf.Tensor2D;
}

interface ToyParams {
  /** int32 scalar, not trained: what a counter of batch norm is. */
  readonly counter: tf.Variable;
  readonly encoder: LinearParams;
  readonly decoder: LinearParams;
}

export const toy = {
  id: "toy",
  modality: "vector",
  summary: "linear masked auto-encoder of vectors",
  paper: "none",
  schema: z.strictObject({
    width: z.int().positive().default(8),
    hidden: z.int().positive().default(6),
    ratio: z.number().default(0.5),
  }),
  presets: {},
  init: ({ width, hidden }, random): ToyParams => ({
    counter: buffer(tf.scalar(0, "int32")),
    encoder: initLinear(random, width, hidden),
    decoder: initLinear(random, hidden, width),
  }),
  prepare({ width, ratio }, samples, random): ToyBatch {
    const x = tf.tensor2d(
      samples.flatMap((sample) => [...sample]),
      [samples.length, width],
    );
    const mask = randomMask({ batch: samples.length, tokens: width, ratio }, random);
    return { x, hidden: tf.tensor2d(maskedFlags(mask), [samples.length, width]) };
  },
  loss({ encoder, decoder }, _, { x, hidden }) {
    const visible = tf.mul(x, tf.sub(1, hidden));
    const code = applyLinear(encoder, visible, { activation: "gelu" }); // [B, hidden]
    const error = tf.mul(hidden, tf.squaredDifference(applyLinear(decoder, code), x));
    const masked = tf.div(tf.sum(error), tf.sum(hidden)).asScalar();
    const size = tf.mean(tf.square(code)).asScalar();
    return { total: tf.add(masked, tf.mul(size, 0.01)).asScalar(), masked, size };
  },
  encode: ({ encoder }, _, samples) =>
    applyLinear(encoder, tf.tensor2d(samples.map((sample) => [...sample]))) as tf.Tensor2D,
} satisfies Method<ToyConfig, Float32Array, ToyBatch, ToyParams>;

export interface ToyDataOptions {
  /** Indices that cannot be read. */
  readonly bad?: readonly number[];
  /** Milliseconds until a sample is read, drawn up to this, so that reads end out of order. */
  readonly delay?: number;
}

/** Vectors near a plane, so that hidden entries can be told from visible ones; the training view adds noise. */
export function toyData(
  length = 40,
  { bad = [], delay = 0 }: ToyDataOptions = {},
  width = 8,
): Dataset<Float32Array> {
  const random = createRandom(11);
  const [first, second] = [random.normals(width), random.normals(width)];
  const vector = (own: Random) => {
    const [a, b] = [own.normal(), own.normal()];
    return first.map((value, i) => a * value + b * second[i]!);
  };
  const wait = createRandom(3);
  return createDataset({
    name: "toy vectors",
    length,
    nameOf: (index) => `vector-${index}`,
    async get(index, view) {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, wait.uniform() * delay));
      if (bad.includes(index)) throw new BadSampleError(`vector-${index}`, "is damaged");
      const clean = vector(random.child("sample", index));
      return view === undefined ? clean : clean.map((value) => value + 0.05 * view.normal());
    },
  });
}

/** All events of a run. */
export async function collect(events: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const all: TrainEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** The events of one type. */
export function ofType<T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T) {
  return events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);
}
