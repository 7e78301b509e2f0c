/** Masks over groups of points; visible and hidden groups in ascending order, as Point-MAE's code has them. */
import { hiddenCount, type Mask, maskFromFlags, type Random } from "@unmask/core";

/** Groups of every sample on their own, trunc(ratio * G) of them hidden. */
export function randomGroupMask(batch: number, groups: number, ratio: number, random: Random): Mask {
  const hidden = hiddenCount("random", groups, ratio, "groups");
  const flags = new Uint8Array(batch * groups);
  for (let b = 0; b < batch; b++)
    for (const group of random.permutation(groups).subarray(0, hidden)) flags[b * groups + group] = 1;
  return maskFromFlags(flags, batch);
}

/**
 * Hides the trunc(ratio * G) groups nearest to a random one of each sample, itself among them.
 * @param centres [B, G, 3]
 */
export function blockGroupMask(centres: Float32Array, batch: number, ratio: number, random: Random): Mask {
  const groups = centres.length / 3 / batch;
  const hidden = hiddenCount("block", groups, ratio, "groups");
  const flags = new Uint8Array(batch * groups);
  for (let b = 0; b < batch; b++) {
    const own = centres.subarray(b * groups * 3, (b + 1) * groups * 3);
    for (const group of byDistance(own, random.int(groups)).subarray(0, hidden))
      flags[b * groups + group] = 1;
  }
  return maskFromFlags(flags, batch);
}

/** All groups of one sample, the one nearest to group `from` first (itself); equal distances in order of index. */
export function byDistance(centres: Float32Array, from: number): Int32Array {
  const groups = centres.length / 3;
  const distances = Float64Array.from({ length: groups }, (_, g) =>
    Math.hypot(...[0, 1, 2].map((axis) => centres[3 * g + axis]! - centres[3 * from + axis]!)),
  );
  return Int32Array.from({ length: groups }, (_, g) => g).sort(
    (a, b) => distances[a]! - distances[b]! || a - b,
  );
}
