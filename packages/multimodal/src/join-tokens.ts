/** Tokens of several modalities as one sequence. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "@unmask/core";

/** Places of one modality's tokens in a joined sequence. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

export interface JoinedTokens<Name extends string> {
  /** [B, sum of N, D] */
  readonly tokens: tf.Tensor3D;
  readonly spans: Readonly<Record<Name, Span>>;
}

/**
 * Concatenates token sequences in the order they are given.
 * @param byModality [B, N, D] each, of one B and one D
 */
export function joinTokens<Name extends string>(
  byModality: Readonly<Record<Name, tf.Tensor3D>>,
): JoinedTokens<Name> {
  const named = Object.entries(byModality) as [Name, tf.Tensor3D][];
  const [batch, , width] = named[0]?.[1].shape ?? [];
  const spans = {} as Record<Name, Span>;
  let start = 0;
  for (const [name, { shape }] of named) {
    expect(
      shape.length === 3 && shape[0] === batch && shape[2] === width,
      () => `joinTokens: expected ${name} to be [${batch}, N, ${width}] like ${named[0]![0]}, got [${shape}]`,
    );
    spans[name] = { start, length: shape[1] };
    start += shape[1];
  }
  expect(named.length > 0, "joinTokens: there is no modality; give at least one");
  return {
    tokens: tf.concat(
      named.map(([, tokens]) => tokens),
      1,
    ),
    spans,
  };
}

/** The inverse of {@link joinTokens}: each modality's tokens, [B, N, D]. */
export function splitTokens<Name extends string>(
  tokens: tf.Tensor3D,
  spans: Readonly<Record<Name, Span>>,
): Readonly<Record<Name, tf.Tensor3D>> {
  const [batch, , width] = tokens.shape;
  const parts = (Object.entries(spans) as [Name, Span][]).map(([name, { start, length }]) => [
    name,
    tokens.slice([0, start, 0], [batch, length, width]),
  ]);
  return Object.fromEntries(parts);
}
