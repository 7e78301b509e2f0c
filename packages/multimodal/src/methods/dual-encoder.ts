/**
 * A small dual encoder of single frames and captions, after CLIP (Radford et al., ICML 2021,
 * https://arxiv.org/abs/2103.00020). Trained on the captions at hand, it says which patches of a clip a caption speaks of.
 *
 *   loss = InfoNCE(picture, text; learned temperature),   picture: mean over patches i of W p_i
 *
 * One frame of each clip is drawn. Both encoders are transformers; the text's vector is the mean of its words. The picture's
 * vector is a mean of projected patches without a class token, so that a caption's similarity with the picture is, but for
 * lengths, the mean of its similarities with the patches: those are what masks are guided by.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  buffer,
  type EncodeOptions,
  expect,
  initLinear,
  initPatchEmbed,
  type LinearParams,
  type Method,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  type Random,
  sinCos2d,
} from "@unmask/core";
import { z } from "zod";
import { captionsOf, expectCaptioned, withTextAsPart } from "../captioned.js";
import { type ClipColours, clipTensor, colourShape } from "../clips.js";
import { count } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import { applyStack, initStack, type StackParams } from "../fusion.js";
import { pairwiseContrast } from "../pairwise-contrast.js";
import type { AlignedSample } from "../sample.js";
import { encodeTexts } from "../text/word-piece.js";
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
} from "../text/words.js";

export interface DualEncoderConfig extends TextConfig, ClipColours {
  readonly video: {
    readonly size: readonly [number, number, number];
    readonly patch: readonly [number, number];
  };
  readonly width: number;
  readonly depth: number;
  readonly textDepth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
  readonly projection: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  vocabulary: vocabularySchema,
  video: z
    .strictObject({
      size: z.tuple([count, count, count]).readonly(),
      patch: z.tuple([count, count]).readonly(),
    })
    .default({ size: [8, 224, 224], patch: [16, 16] })
    .describe(
      "clip of [frames, height, width] in colour, of which training draws a frame, and one token of it",
    ),
  ...colourShape,
  ...textLengths,
  width: count.default(256).describe("width of the tokens"),
  depth: count.default(6).describe("blocks of the frames' encoder"),
  textDepth: count.default(4).describe("blocks of the words' encoder"),
  heads: count.default(4).describe("attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
  projection: count.default(256).describe("width of the space that frames and texts meet in"),
  temperature: z.number().positive().default(0.07).describe("of the contrast, at the start"),
}) satisfies z.ZodType<DualEncoderConfig>;

const presets = {
  tiny: { width: 96, depth: 3, textDepth: 1, projection: 64 },
  small: {},
} satisfies Record<string, Partial<DualEncoderConfig>>;

export interface DualEncoderParams {
  readonly frames: StackParams & { readonly patch_embed: PatchEmbedParams; readonly pos_embed: tf.Variable };
  readonly text_embeddings: WordEmbeddings;
  readonly text: StackParams;
  readonly frame_projection: LinearParams;
  readonly text_projection: LinearParams;
  /** [], the logarithm of 1 / temperature */
  readonly log_scale: tf.Variable;
}

export interface DualEncoderBatch {
  /** [B, 1, H, W, 3], normalised */
  readonly frames: tf.Tensor5D;
  readonly words: Words;
}

function init(config: DualEncoderConfig, random: Random): DualEncoderParams {
  const { width, depth, textDepth, mlpRatio, projection, temperature, video } = config;
  const grid = patchGrid(video.size.slice(1), video.patch) as [number, number];
  const stack = (blocks: number) => initStack(random, width, blocks, Math.round(width * mlpRatio));
  return {
    frames: {
      patch_embed: initPatchEmbed(random, { patch: video.patch, channels: 3, width }),
      pos_embed: buffer(sinCos2d(grid, width).expandDims(0)),
      ...stack(depth),
    },
    text_embeddings: initWordEmbeddings(random, config, width),
    text: stack(textDepth),
    frame_projection: initLinear(random, width, projection),
    text_projection: initLinear(random, width, projection),
    log_scale: parameter(tf.scalar(Math.log(1 / temperature))),
  };
}

function prepare(
  config: DualEncoderConfig,
  samples: readonly AlignedSample[],
  random: Random,
): DualEncoderBatch {
  expectCaptioned("dual-encoder", samples, 2);
  const [frames, height, width] = config.video.size;
  const clips = clipTensor(config, config.video.size, samples);
  const drawn = samples.map((_, b) =>
    clips.slice([b, random.int(frames), 0, 0, 0], [1, 1, height, width, 3]),
  );
  return { frames: tf.concat(drawn), words: wordsOf(config, samples) };
}

const wordsOf = ({ vocabulary, textLength }: DualEncoderConfig, samples: readonly AlignedSample[]) =>
  encodeTexts(vocabulary, captionsOf(samples), textLength);

function loss(params: DualEncoderParams, config: DualEncoderConfig, { frames, words }: DualEncoderBatch) {
  const video = tf.mean(projectPatches(params, config, frames), 1);
  const text = meanOfWords(projectWords(params, config, words, frames.shape[0]), words);
  return { total: pairwiseContrast({ video, text }, { logScale: params.log_scale }).mean };
}

/** Patches of all frames in the common space: [B, F, H, W, 3] -> [B, F * N, projection] */
function projectPatches(
  { frames, frame_projection }: DualEncoderParams,
  { video, heads, epsilon }: DualEncoderConfig,
  clips: tf.Tensor5D,
): tf.Tensor3D {
  const [batch, count, ...picture] = clips.shape;
  const patches = patchify(clips.reshape([batch * count, ...picture]), video.patch);
  const tokens = tf.add(applyPatchEmbed(frames.patch_embed, patches), frames.pos_embed);
  const seen = applyStack(frames, tokens, { heads, epsilon, activation: "gelu" });
  const projected = applyLinear(frame_projection, seen);
  return projected.reshape([batch, count * patches.shape[1], -1]);
}

/** Words in the common space: [B, L] -> [B, L, projection] */
function projectWords(
  { text_embeddings, text, text_projection }: DualEncoderParams,
  { heads, epsilon }: DualEncoderConfig,
  words: Words,
  batch: number,
): tf.Tensor3D {
  const bias = paddingBias(words, batch);
  const read = applyTransformer(text.blocks, embedWords(text_embeddings, words.ids, batch), {
    heads,
    epsilon,
    bias,
  });
  return applyLinear(text_projection, applyLayerNorm(text.norm, read, epsilon)) as tf.Tensor3D;
}

/**
 * In the common space: a clip's vector, a text's, or their mean where a sample has both [B, projection]; "tokens": the
 * patches of all frames of a clip, or the words of a text.
 */
function encode(
  params: DualEncoderParams,
  config: DualEncoderConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === "mean" || pool === "tokens",
    `dual-encoder: has no class token; use pool "mean" or "tokens", not "${pool}"`,
  );
  return encodeByPresence(withTextAsPart(samples), ["video", "text"], (group, present) => {
    expect(
      pool === "mean" || present.length === 1,
      "dual-encoder: patches and words do not stand in one row; encode clips or texts alone",
    );
    const vectors = present.map((part) => {
      if (part === "video") {
        const patches = projectPatches(params, config, clipTensor(config, config.video.size, group));
        return pool === "tokens" ? patches : tf.mean(patches, 1);
      }
      const words = wordsOf(config, group);
      const projected = projectWords(params, config, words, group.length);
      return pool === "tokens" ? projected : meanOfWords(projected, words);
    });
    return vectors.length === 1 ? vectors[0]! : tf.div(tf.addN(vectors), 2);
  });
}

export const dualEncoder = {
  id: "dual-encoder",
  modality: "multimodal",
  summary: "Frames and captions encoded apart and contrasted, as CLIP; its patches guide text-guided masks",
  paper:
    "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, arXiv 2103.00020",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
} satisfies Method<DualEncoderConfig, AlignedSample, DualEncoderBatch, DualEncoderParams>;
