/** The encoder of skeleton sequences: a token is one joint, or a few, over a few frames. Names and shapes are MAMP's. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyPatchEmbed,
  applyTransformer,
  type BlockInit,
  type BlockParams,
  type EncodeOptions,
  expect,
  hiddenWidth,
  initLayerNorm,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type PatchEmbedParams,
  parameter,
  patchify,
  type Random,
  type TransformerOptions,
  truncatedNormal,
  UnmaskError,
  xavierUniform,
} from "@unmask/core";
import { z } from "zod";
import type { SkeletonSample } from "./sample.js";

export interface SkeletonEncoderConfig {
  readonly joints: number;
  readonly frames: number;
  readonly persons: number;
  readonly channels: number;
  readonly framesPerToken: number;
  readonly jointsPerToken: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly epsilon: number;
}

export const count = z.int().positive();

export const skeletonEncoderShape = {
  joints: count.default(25).describe("joints of a skeleton"),
  frames: count.default(120).describe("frames of a clip"),
  persons: count.default(2).describe("persons of a clip; fewer are filled up with zeros"),
  channels: count.default(3).describe("coordinates of a joint"),
  framesPerToken: count.default(4).describe("frames of one token"),
  jointsPerToken: count.default(1).describe("neighbouring joints of one token"),
  width: count.default(256).describe("width of the encoder's tokens"),
  depth: count.default(8).describe("encoder blocks"),
  heads: count.default(8).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  qkvBias: z.boolean().default(true).describe("bias of the query, key and value projections"),
  epsilon: z.number().positive().default(1e-5).describe("epsilon of the layer norms"),
};

export interface SkeletonEncoderParams {
  /** Weight [D, C, frames of a token, joints of a token]. */
  readonly joints_embed: PatchEmbedParams;
  /** [1, T', 1, D] */
  readonly temp_embed: tf.Variable;
  /** [1, 1, V', D] */
  readonly pos_embed: tf.Variable;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

/** Time slots and joint groups of a clip's tokens. */
export function skeletonGrid({
  frames,
  joints,
  framesPerToken,
  jointsPerToken,
}: SkeletonEncoderConfig): [number, number] {
  expect(
    frames % framesPerToken === 0 && joints % jointsPerToken === 0,
    `skeletons: ${frames} frames and ${joints} joints are not multiples of a token's ${framesPerToken} and ${jointsPerToken}; choose sizes that divide`,
  );
  return [frames / framesPerToken, joints / jointsPerToken];
}

/** A block of the encoder, or of a decoder of another width. */
export const skeletonBlock = ({ mlpRatio, qkvBias }: SkeletonEncoderConfig, width: number): BlockInit => ({
  width,
  hidden: hiddenWidth(width, mlpRatio),
  qkvBias: qkvBias ? "all" : "none",
});

export function initSkeletonEncoder(random: Random, config: SkeletonEncoderConfig): SkeletonEncoderParams {
  const { width, depth, channels, framesPerToken, jointsPerToken } = config;
  const [slots, groups] = skeletonGrid(config);
  const patch = [framesPerToken, jointsPerToken] as const;
  const table = (shape: number[]) => parameter(truncatedNormal(0.02)(shape, random));
  return {
    joints_embed: initPatchEmbed(random, { patch, channels, width, init: xavierUniform }),
    temp_embed: table([1, slots, 1, width]),
    pos_embed: table([1, 1, groups, width]),
    blocks: initTransformer(random, depth, skeletonBlock(config, width)),
    norm: initLayerNorm(width),
  };
}

/** Persons become samples of their own. [B * persons, T, V, C] */
export function clipsOf(
  name: string,
  { persons, frames, joints, channels }: SkeletonEncoderConfig,
  samples: readonly SkeletonSample[],
): tf.Tensor4D {
  const size = frames * joints * channels;
  const values = new Float32Array(samples.length * persons * size);
  samples.forEach((sample, i) => {
    expect(
      sample.frames === frames && sample.joints === joints && sample.channels === channels,
      () =>
        `${name}: expected ${frames} frames of ${joints} joints with ${channels} coordinates, got ${sample.frames} of ${sample.joints} with ${sample.channels}; resample the clip or set the config`,
    );
    values.set(sample.positions.subarray(0, Math.min(persons, sample.persons) * size), i * persons * size);
  });
  return tf.tensor4d(values, [samples.length * persons, frames, joints, channels]);
}

/** Tokens without their positions: [B, T, V, C] -> [B, N, D], time-major. */
export function embedClips(
  params: SkeletonEncoderParams,
  { framesPerToken, jointsPerToken }: SkeletonEncoderConfig,
  clips: tf.Tensor4D,
): tf.Tensor3D {
  return applyPatchEmbed(params.joints_embed, patchify(clips, [framesPerToken, jointsPerToken]));
}

/** [1, T', 1, D] and [1, 1, V', D] -> [1, N, D] */
export function positionsOf(time: tf.Tensor, joint: tf.Tensor): tf.Tensor {
  const [, slots, , width] = time.shape as [number, number, number, number];
  return tf.add(time, joint).reshape([1, slots * joint.shape[2]!, width]);
}

/** Tokens with their positions: [B, T, V, C] -> [B, N, D] */
export function placedTokens(
  params: SkeletonEncoderParams,
  config: SkeletonEncoderConfig,
  clips: tf.Tensor4D,
): tf.Tensor3D {
  return tf.add(embedClips(params, config, clips), positionsOf(params.temp_embed, params.pos_embed));
}

/** The blocks and the norm after them: [B, K, D] -> [B, K, D] */
export function transformTokens(
  params: SkeletonEncoderParams,
  { heads, epsilon }: SkeletonEncoderConfig,
  tokens: tf.Tensor,
  options?: Pick<TransformerOptions, "dropPath">,
): tf.Tensor3D {
  const encoded = applyTransformer(params.blocks, tokens, { heads, epsilon, ...options });
  return applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D;
}

/** Whole clips: [B * persons, T, V, C] -> [B * persons, N, D] */
export function encodeClips(
  params: SkeletonEncoderParams,
  config: SkeletonEncoderConfig,
  clips: tf.Tensor4D,
  options?: Pick<TransformerOptions, "dropPath">,
): tf.Tensor3D {
  return transformTokens(params, config, placedTokens(params, config, clips), options);
}

/** The mean over persons, time and joints; or all tokens, persons one after another. [B * persons, N, D] -> [B, D] or [B, persons * N, D] */
export function poolClips(
  name: string,
  tokens: tf.Tensor3D,
  { persons, width }: SkeletonEncoderConfig,
  pool: NonNullable<EncodeOptions["pool"]>,
): tf.Tensor {
  const all = tokens.reshape([tokens.shape[0] / persons, -1, width]);
  if (pool === "mean") return tf.mean(all, 1);
  if (pool === "tokens") return all;
  throw new UnmaskError(`${name}: has no class token for pool "${pool}"; use "mean" or "tokens"`);
}
