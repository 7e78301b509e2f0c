/**
 * The network of SMAUG (see methods/smaug.ts) without what pretraining alone needs: frames and words encoded apart, frames
 * selected for a text, words that look into these frames.
 */
import type * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyTransformer,
  expect,
  initLayerNorm,
  type LayerNormParams,
  type MlpParams,
  type Random,
} from "@unmask/core";
import { z } from "zod";
import { captionsOf } from "./captioned.js";
import { type ClipColours, colourShape } from "./clips.js";
import { count } from "./config.js";
import { applyCrossBlocks, type CrossBlockParams, initCrossBlocks } from "./cross-blocks.js";
import { initFrameSelector, selectFrames } from "./frame-selector.js";
import { initStack, type StackParams } from "./fusion.js";
import type { AlignedSample } from "./sample.js";
import {
  encodeFrames,
  type FrameEncoderConfig,
  type FrameEncoderParams,
  framePatches,
  initFrameEncoder,
  keptTokens,
} from "./sparse-frames.js";
import { encodeTexts } from "./text/word-piece.js";
import {
  embedWords,
  initWordEmbeddings,
  meanOfWords,
  paddingBias,
  type TextConfig,
  textLengths,
  vocabularySchema,
  type WordEmbeddings,
  type Words,
} from "./text/words.js";

export interface SmaugNetworkConfig extends TextConfig, FrameEncoderConfig, ClipColours {
  readonly textDepth: number;
  readonly fusionDepth: number;
  readonly keepFrames: number;
  readonly whole: boolean;
}

const share = (description: string) => z.number().gt(0).max(1).describe(description);

/** Keys of a method's schema. */
export const smaugShape = {
  vocabulary: vocabularySchema,
  video: z
    .strictObject({
      size: z.tuple([count, count, count]).readonly(),
      patch: z.tuple([count, count]).readonly(),
    })
    .default({ size: [4, 224, 224], patch: [16, 16] })
    .describe("clip of [frames, height, width] in colour, and one token of a frame"),
  ...colourShape,
  ...textLengths,
  width: count.default(768).describe("width of all encoders' tokens"),
  depth: count.default(12).describe("blocks of the frames' encoder"),
  textDepth: count.default(9).describe("blocks of the words' encoder"),
  fusionDepth: count.default(3).describe("blocks in which words look into frames"),
  heads: count.default(12).describe("attention heads of these"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
  pruneAt: z
    .array(count)
    .readonly()
    .default([4, 7, 10])
    .describe("blocks of the frames' encoder, from 1, after whose attention tokens are dropped"),
  keepTokens: share("share of the tokens that goes on there; 1 drops none").default(0.7),
  keepFrames: share("share of the frames that a text looks into; 1 is all").default(0.5),
  whole: z
    .boolean()
    .default(false)
    .describe("features of all tokens and frames, where false drops them as in training"),
};

export const smaugPresets = {
  tiny: { width: 96, depth: 4, textDepth: 2, fusionDepth: 1, heads: 4, pruneAt: [2, 3] },
  base: {},
} satisfies Record<string, Partial<SmaugNetworkConfig>>;

export interface SmaugNetworkParams {
  readonly frames: FrameEncoderParams;
  readonly text_embeddings: WordEmbeddings;
  readonly text: StackParams;
  /** Absent where all frames are kept. */
  readonly selector?: MlpParams;
  readonly fusion: { readonly blocks: readonly CrossBlockParams[]; readonly norm: LayerNormParams };
}

/** Frames that a text looks into. */
export const keptFrames = ({ video: { size }, keepFrames }: SmaugNetworkConfig) =>
  keptTokens(size[0], keepFrames);

export function initSmaugNetwork(
  caller: string,
  config: SmaugNetworkConfig,
  random: Random,
): SmaugNetworkParams {
  const { width, depth, textDepth, fusionDepth, mlpRatio, pruneAt, video } = config;
  expect(
    pruneAt.every((block) => block <= depth),
    `${caller}: pruneAt ${pruneAt.join(", ")} names blocks that an encoder of ${depth} does not have; count from 1 to ${depth}`,
  );
  const block = { width, hidden: Math.round(width * mlpRatio) };
  return {
    frames: initFrameEncoder(random, config),
    text_embeddings: initWordEmbeddings(random, config, width),
    text: initStack(random, width, textDepth, block.hidden),
    ...(keptFrames(config) < video.size[0] && { selector: initFrameSelector(random, width) }),
    fusion: { blocks: initCrossBlocks(random, fusionDepth, block), norm: initLayerNorm(width) },
  };
}

/** [B, L] words -> [B, L, D] */
export function readWords(
  { text_embeddings, text }: SmaugNetworkParams,
  { heads, epsilon }: SmaugNetworkConfig,
  words: Words,
  batch: number,
): tf.Tensor3D {
  const tokens = embedWords(text_embeddings, words.ids, batch);
  const read = applyTransformer(text.blocks, tokens, { heads, epsilon, bias: paddingBias(words, batch) });
  return applyLayerNorm(text.norm, read, epsilon) as tf.Tensor3D;
}

/** Tokens [B * F, M, D] of single frames as those of clips: [B, F, M, D] */
export const byClip = (tokens: tf.Tensor3D, { video: { size } }: SmaugNetworkConfig): tf.Tensor4D => {
  const [images, ...rest] = tokens.shape;
  return tokens.reshape([images / size[0], size[0], ...rest]);
};

interface FuseOptions {
  /** [B, 1, 1, L], what holds padding off. */
  readonly bias: tf.Tensor4D;
  /** [B, F], Gumbel's in training. */
  readonly noise?: tf.Tensor2D;
  /** Look into all frames. */
  readonly whole?: boolean;
}

/** Words that look into a clip: [B, L, D] and [B, F, M, D] -> [B, L, D] */
export function fuseWords(
  { selector, fusion }: SmaugNetworkParams,
  config: SmaugNetworkConfig,
  words: tf.Tensor3D,
  frames: tf.Tensor4D,
  { bias, noise, whole = false }: FuseOptions,
): tf.Tensor3D {
  const { heads, epsilon } = config;
  const [batch, count, tokens, width] = frames.shape;
  const context =
    selector === undefined || whole
      ? frames.reshape([batch, count * tokens, width])
      : selectFrames(selector, frames, firstOf(words), keptFrames(config), noise);
  const fused = applyCrossBlocks(fusion.blocks, words, context, { heads, epsilon, bias });
  return applyLayerNorm(fusion.norm, fused, epsilon) as tf.Tensor3D;
}

/** The first token: [B, N, D] -> [B, D] */
export const firstOf = (tokens: tf.Tensor3D): tf.Tensor2D =>
  tokens.slice([0, 0, 0], [-1, 1, -1]).reshape([tokens.shape[0], tokens.shape[2]]);

/** What samples say, as word ids. */
export const wordsOf = (config: SmaugNetworkConfig, samples: readonly AlignedSample[]): Words =>
  encodeTexts(config.vocabulary, captionsOf(samples), config.textLength);

/** Whole clips [B, F, H, W, 3] -> [B, F, M, D], each frame's class token first. */
export function seeClips(
  params: SmaugNetworkParams,
  config: SmaugNetworkConfig,
  video: tf.Tensor5D,
): tf.Tensor4D {
  const patches = framePatches(video, config);
  return byClip(encodeFrames(params.frames, config, patches, { prune: !config.whole }).tokens, config);
}

/** Words that looked into whole clips: [B, L, D] */
export function readWithClips(
  params: SmaugNetworkParams,
  config: SmaugNetworkConfig,
  words: Words,
  video: tf.Tensor5D,
): tf.Tensor3D {
  const [batch] = video.shape;
  const { whole } = config;
  const read = readWords(params, config, words, batch);
  const clips = seeClips(params, config, video);
  return fuseWords(params, config, read, clips, { bias: paddingBias(words, batch), whole });
}

/** The class token, or the mean of the words without padding: [B, L, D] -> [B, D] */
export const poolWords = (tokens: tf.Tensor3D, words: Words, pool: "cls" | "mean"): tf.Tensor2D =>
  pool === "cls" ? firstOf(tokens) : meanOfWords(tokens, words);
