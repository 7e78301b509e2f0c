/** A seeded split that keeps the share of every class. */
import { expect } from "../errors.js";
import type { Random } from "../random.js";

export interface Split {
  /** Ascending indices. */
  readonly train: Int32Array;
  readonly held: Int32Array;
}

/** Holds out `fraction` of each class, rounded, but leaves at least one sample of each class in train. */
export function stratifiedSplit(labels: Int32Array, fraction: number, random: Random): Split {
  expect(fraction > 0 && fraction < 1, `stratifiedSplit: fraction must be in (0, 1), got ${fraction}`);
  const byClass = new Map<number, number[]>();
  labels.forEach((label, i) => {
    const own = byClass.get(label);
    if (own === undefined) byClass.set(label, [i]);
    else own.push(i);
  });
  const held: number[] = [];
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    const own = byClass.get(label)!;
    const order = random.permutation(own.length);
    const count = Math.min(Math.round(fraction * own.length), own.length - 1);
    for (let i = 0; i < count; i++) held.push(own[order[i]!]!);
  }
  expect(
    held.length > 0,
    `stratifiedSplit: ${fraction} of ${labels.length} samples in ${byClass.size} classes holds out none; give more samples`,
  );
  const out = new Set(held);
  return {
    train: Int32Array.from([...labels.keys()].filter((i) => !out.has(i))),
    held: Int32Array.from(held).sort(),
  };
}
