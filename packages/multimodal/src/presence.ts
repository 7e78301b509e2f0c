/** Samples of one batch that do not all have the same modalities. */
import * as tf from "@tensorflow/tfjs";
import type { Span } from "./join-tokens.js";

/**
 * Which keys may be attended to, when the tokens of an absent modality stand in the sequence as zeros.
 * @param present [B] by modality: 1 where a sample has it
 * @returns bool [B, 1, 1, N]; nothing where every sample has every modality
 */
export function keyMask(
  spans: Readonly<Record<string, Span>>,
  present: Readonly<Record<string, Float32Array>>,
): tf.Tensor4D | undefined {
  const named = Object.entries(spans);
  if (named.every(([name]) => present[name]!.every((has) => has === 1))) return undefined;
  const batch = present[named[0]![0]]!.length;
  const tokens = named.reduce((sum, [, { length }]) => sum + length, 0);
  const flags = new Uint8Array(batch * tokens);
  for (const [name, { start, length }] of named)
    present[name]!.forEach((has, b) => {
      flags.fill(has, b * tokens + start, b * tokens + start + length);
    });
  return tf.tensor4d(flags, [batch, 1, 1, tokens], "bool");
}
