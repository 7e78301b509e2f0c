/** What the parts of `pnpm bench multimodal` share. */
import { type Dataset, logisticRegression, type Model, pretrain, subset } from "@unmask/core";
import type { AlignedSample } from "@unmask/multimodal";

export type Recorder = (what: string, value: number) => void;

export interface Run {
  readonly data: string;
  readonly seed: number;
  readonly epochs?: number;
  /** Folder of what is kept from one call to the next. */
  readonly out: string;
  readonly record: Recorder;
}

export type Aligned = Dataset<AlignedSample>;

/** The samples of one set that `of` tells apart by index. */
export const where = (set: Aligned, of: (index: number) => boolean) =>
  subset(
    set,
    [...Array(set.length).keys()].filter((i) => of(i)),
  );

export async function trained(
  model: Model<object, AlignedSample>,
  set: Aligned,
  { seed, epochs }: Run,
  usual: number,
) {
  for await (const event of pretrain(model, set, { epochs: epochs ?? usual, batchSize: 64, lr: 1e-3, seed }))
    if (event.type === "epoch" && event.epoch % 20 === 0)
      console.log(`  epoch ${event.epoch} ${event.loss.toFixed(4)}`);
  return model;
}

export const alone = (name: string, samples: readonly AlignedSample[]): AlignedSample[] =>
  samples.map(({ parts }) => ({ parts: { [name]: parts[name]! } }));

export function rows(tensor: { dataSync(): ArrayLike<number>; dispose(): void }): Float32Array {
  const values = Float32Array.from(tensor.dataSync());
  tensor.dispose();
  return values;
}

export async function probe(
  train: Float32Array,
  trainLabels: Int32Array,
  test: Float32Array,
  testLabels: Int32Array,
): Promise<number> {
  const of = (values: Float32Array, labels: Int32Array) => ({
    features: values,
    width: values.length / labels.length,
    labels,
  });
  return (await logisticRegression(of(train, trainLabels), of(test, testLabels))).top1;
}

export const sameClass = (from: Float32Array, to: Float32Array, labels: Int32Array, k: number) =>
  sameClassAmong(from, to, labels, labels, from.length / labels.length, k);

export function sameClassAmong(
  from: Float32Array,
  to: Float32Array,
  labels: Int32Array,
  others: Int32Array,
  width: number,
  k: number,
): number {
  const unit = (values: Float32Array, i: number) => {
    const row = values.subarray(i * width, (i + 1) * width);
    const length = Math.hypot(...row) || 1;
    return row.map((x) => x / length);
  };
  const gallery = Array.from(others, (_, j) => unit(to, j));
  let found = 0;
  labels.forEach((label, i) => {
    const query = unit(from, i);
    const order = gallery
      .map((row, j) => ({ j, near: row.reduce((sum, x, c) => sum + x * query[c]!, 0) }))
      .sort((a, b) => b.near - a.near);
    if (order.slice(0, k).some(({ j }) => others[j] === label)) found++;
  });
  return found / labels.length;
}
