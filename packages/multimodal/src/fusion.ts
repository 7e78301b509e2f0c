/**
 * How encoders of several modalities stand to each other: apart, one for all, one over all tokens from the start ("early"),
 * apart and then over all tokens ("mid"), or apart with a few tokens through which they exchange what they know in their
 * last blocks ("bottleneck", Nagrani et al., arXiv 2107.00135).
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBlock,
  applyLayerNorm,
  applyTransformer,
  type BlockParams,
  expect,
  initLayerNorm,
  initTransformer,
  type LayerNormParams,
  normal,
  parameter,
  type Random,
} from "@unmask/core";
import { type ByModality, mapModalities } from "./by-modality.js";
import { joinTokens, splitTokens } from "./join-tokens.js";
import { keyMask } from "./presence.js";

export type Fusion = "separate" | "shared" | "early" | "mid" | "bottleneck";

/** Blocks and the norm after them. */
export interface StackParams {
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

/** Stacks by modality, and `all` where one serves all of them; fusion mid has both. */
export type FusionParams = ByModality<StackParams>;

export interface FusionConfig {
  readonly fusion: Fusion;
  readonly width: number;
  /** Blocks that a token passes, joint ones among them. */
  readonly depth: number;
  /** Joint blocks of mid, or blocks with bottleneck tokens. */
  readonly fusionDepth: number;
  readonly heads: number;
  /** Hidden width of the MLPs. */
  readonly hidden: number;
}

export interface StackOptions {
  readonly heads: number;
  readonly activation: "gelu" | "gelu-tanh";
  readonly epsilon: number;
}

export interface FuseOptions extends StackOptions {
  readonly fusion: Fusion;
  readonly fusionDepth: number;
  /** [B] by modality: 1 where a sample has it; tokens of what it lacks are not attended to. Absent: all have all. */
  readonly present?: ByModality<Float32Array>;
  /** [1, T, D], what fusion bottleneck exchanges by. */
  readonly bottleneck?: tf.Tensor;
  /** Sees the output of every stack. */
  readonly watch?: (stack: string, output: tf.Tensor) => void;
}

export const initStack = (random: Random, width: number, depth: number, hidden: number): StackParams => ({
  blocks: initTransformer(random, depth, { width, hidden }),
  norm: initLayerNorm(width),
});

/** [B, N, D] -> [B, N, D] */
export function applyStack(
  { blocks, norm }: StackParams,
  tokens: tf.Tensor,
  { heads, activation, epsilon }: StackOptions,
  mask?: tf.Tensor,
): tf.Tensor3D {
  const output = applyTransformer(blocks, tokens, { heads, activation, epsilon, mask });
  return applyLayerNorm(norm, output, epsilon) as tf.Tensor3D;
}

export function initFusion(random: Random, names: readonly string[], config: FusionConfig): FusionParams {
  const { fusion, width, depth, fusionDepth, hidden } = config;
  expect(
    fusion !== "mid" || fusionDepth < depth,
    `fusion mid: fusionDepth ${fusionDepth} leaves none of ${depth} blocks to the modalities; use fusion early`,
  );
  expect(
    fusion !== "bottleneck" || fusionDepth <= depth,
    `fusion bottleneck: fusionDepth ${fusionDepth} is more than the ${depth} blocks`,
  );
  const each = (layers: number) =>
    Object.fromEntries(names.map((name) => [name, initStack(random, width, layers, hidden)]));
  switch (fusion) {
    case "separate":
    case "bottleneck":
      return each(depth);
    case "mid":
      return { ...each(depth - fusionDepth), all: initStack(random, width, fusionDepth, hidden) };
    case "shared":
    case "early":
      return { all: initStack(random, width, depth, hidden) };
  }
}

/** Tokens of the modalities given through their encoders: [B, N, D] each -> [B, N, D] each. */
export function applyFusion(
  params: FusionParams,
  tokens: ByModality<tf.Tensor3D>,
  options: FuseOptions,
): ByModality<tf.Tensor3D> {
  const { fusion, present, watch } = options;
  const run = (stack: string, input: tf.Tensor3D, mask?: tf.Tensor) => {
    const output = applyStack(params[stack]!, input, options, mask);
    watch?.(stack, output);
    return output;
  };
  const apart = () => mapModalities(tokens, (own, name) => run(name, own));
  const together = (parts: ByModality<tf.Tensor3D>) =>
    jointly(parts, present, (all, mask) => run("all", all, mask));
  switch (fusion) {
    case "separate":
      return apart();
    case "shared":
      return mapModalities(tokens, (own) => run("all", own));
    case "early":
      return together(tokens);
    case "mid":
      return together(apart());
    case "bottleneck":
      return throughBottleneck(params, tokens, options);
  }
}

/** A function over all tokens in a row, and its result by modality again. */
export function jointly(
  tokens: ByModality<tf.Tensor3D>,
  present: ByModality<Float32Array> | undefined,
  run: (tokens: tf.Tensor3D, mask?: tf.Tensor) => tf.Tensor3D,
): ByModality<tf.Tensor3D> {
  const joined = joinTokens(tokens);
  return splitTokens(run(joined.tokens, present && keyMask(joined.spans, present)), joined.spans);
}

/** Tokens that modalities exchange by: [1, T, D] */
export const initBottleneck = (random: Random, count: number, width: number): tf.Variable =>
  parameter(normal(0.02)([1, count, width], random));

/** After each of the last blocks the exchange tokens are the mean of what the modalities that are there made of them. */
function throughBottleneck(
  params: FusionParams,
  tokens: ByModality<tf.Tensor3D>,
  { fusionDepth, bottleneck, present, watch, ...stack }: FuseOptions,
): ByModality<tf.Tensor3D> {
  expect(
    bottleneck !== undefined,
    "fusion bottleneck: there are no tokens to exchange by; give initBottleneck's",
  );
  const names = Object.keys(tokens);
  const depth = params[names[0]!]!.blocks.length;
  const batch = tokens[names[0]!]!.shape[0];
  const [, count, width] = bottleneck.shape as [number, number, number];
  const weights = names.map((name) =>
    tf.tensor3d(present?.[name] ?? new Float32Array(batch).fill(1), [batch, 1, 1]),
  );
  const there = weights.reduce((sum, own) => tf.add(sum, own));
  const current: Record<string, tf.Tensor> = { ...tokens };
  let shared: tf.Tensor = tf.add(bottleneck, tf.zeros([batch, count, width]));
  for (let layer = 0; layer < depth; layer++) {
    if (layer < depth - fusionDepth) {
      for (const name of names)
        current[name] = applyBlock(params[name]!.blocks[layer]!, current[name]!, stack);
      continue;
    }
    const seen = names.map((name, m) => {
      const own = current[name]!;
      const mixed = applyBlock(params[name]!.blocks[layer]!, tf.concat([own, shared], 1), stack);
      const length = own.shape[1]!;
      current[name] = mixed.slice([0, 0, 0], [batch, length, width]);
      return tf.mul(mixed.slice([0, length, 0]), weights[m]!);
    });
    shared = tf.div(
      seen.reduce((sum, own) => tf.add(sum, own)),
      there,
    );
  }
  return mapModalities(tokens, (_, name) => {
    const output = applyLayerNorm(params[name]!.norm, current[name]!, stack.epsilon) as tf.Tensor3D;
    watch?.(name, output);
    return output;
  });
}
