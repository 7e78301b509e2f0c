/** Features of samples that do not all have the same modalities. */
import * as tf from "@tensorflow/tfjs";
import { expect, UnmaskError } from "@unmask/core";
import type { AlignedSample } from "./sample.js";

/**
 * Encodes samples in groups that have the same modalities, and puts the features back in the order of the samples.
 * @param names modalities in the method's order
 * @param encodeGroup features [B, ...] of samples that all have exactly the modalities `present`
 * @throws UnmaskError where a sample has none of them
 */
export function encodeByPresence<Name extends string>(
  samples: readonly AlignedSample[],
  names: readonly Name[],
  encodeGroup: (group: readonly AlignedSample[], present: readonly Name[]) => tf.Tensor,
): tf.Tensor {
  const groups = new Map<string, { readonly present: readonly Name[]; readonly indices: number[] }>();
  samples.forEach(({ parts }, i) => {
    const present = names.filter((name) => parts[name] !== undefined);
    if (present.length === 0)
      throw new UnmaskError(
        `encode: sample ${i} has ${Object.keys(parts).join(", ") || "no part"}; the model takes ${names.join(", ")}`,
      );
    const key = present.join();
    const group = groups.get(key);
    if (group) group.indices.push(i);
    else groups.set(key, { present, indices: [i] });
  });
  expect(groups.size > 0, "encode: there are no samples; give at least one");
  const encoded = [...groups.values()].map(({ present, indices }) =>
    encodeGroup(
      indices.map((i) => samples[i]!),
      present,
    ),
  );
  if (encoded.length === 1) return encoded[0]!;
  const order = new Int32Array(samples.length);
  [...groups.values()]
    .flatMap(({ indices }) => indices)
    .forEach((sample, row) => {
      order[sample] = row;
    });
  const rows = tf.concat(encoded, 0);
  return tf.gather(rows, tf.tensor1d(order, "int32"));
}
