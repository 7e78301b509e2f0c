/**
 * SimVTP: Simple Video Text Pre-training with Masked Autoencoders. Ma, Fan, Zhang et al., 2022, https://arxiv.org/abs/2212.03490
 *
 *   loss = MSE(hidden cubes) + CE(hidden words) + InfoNCE(clip, text) + CE(is this the clip of this text?)
 *
 * One transformer sees the visible cubes of a clip and the words of its text in one sequence. Nine cubes of ten and three
 * words of four are hidden. A decoder predicts the cubes, a linear layer the words; the means of either part encoded alone are
 * contrasted; the mean of both tells whether they belong together.
 * The reference's quirks, kept: hidden words are hidden in every pass, the text's own too; means of a text include [CLS], [SEP]
 * and padding; padding is held off by -10000 on the logits; a hidden word is always [MASK]; the two directions of the contrast
 * are added, not averaged; negative pairs take another's clip with its mask. Words are cut by WordPiece; the config holds
 * the vocabulary.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  constant,
  crossEntropy,
  type EncodeOptions,
  expect,
  gatherAny,
  infoNce,
  initLinear,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  takeRows,
  tubeMask,
} from "@unmask/core";
import { z } from "zod";
import { captionsOf, expectCaptioned, withTextAsPart } from "../captioned.js";
import {
  type ClipAutoencoderConfig,
  type ClipDecoderParams,
  type ClipEncoderParams,
  clipAutoencoderShape,
  clipAutoencoderSizes,
  clipReconstruction,
  decodeClip,
  encodeClipTokens,
  initClipDecoder,
  initClipEncoder,
} from "../clip-autoencoder.js";
import { clipTensor, cubeTarget, embedPlaced } from "../clips.js";
import { ratio } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import type { MultimodalReconstruction } from "../part-pictures.js";
import type { AlignedSample } from "../sample.js";
import { encodeTexts } from "../text/word-piece.js";
import {
  embedWords,
  type HiddenWords,
  hiddenWordLoss,
  hideWords,
  initWordEmbeddings,
  paddingBias,
  type TextConfig,
  textLengths,
  vocabularySchema,
  type WordEmbeddings,
} from "../text/words.js";

export interface SimvtpConfig extends TextConfig, ClipAutoencoderConfig {
  readonly videoMaskRatio: number;
  readonly wordMaskRatio: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  vocabulary: vocabularySchema,
  ...textLengths,
  ...clipAutoencoderShape,
  videoMaskRatio: ratio("share of the places of a clip hidden, in all frames").default(0.9),
  wordMaskRatio: ratio("chance of each word to be hidden").default(0.75),
  temperature: z.number().positive().default(0.05).describe("tau of the contrast"),
}) satisfies z.ZodType<SimvtpConfig>;

export interface SimvtpParams extends ClipDecoderParams {
  readonly encoder: ClipEncoderParams;
  readonly text_embeddings: WordEmbeddings;
  /** To the vocabulary. */
  readonly text_cls: LinearParams;
  /** To 0: another's clip, 1: its own. */
  readonly vtm_head: LinearParams;
}

export interface SimvtpBatch {
  /** [B, T, H, W, 3], normalised */
  readonly video: tf.Tensor5D;
  readonly mask: Mask;
  readonly text: HiddenWords;
  /** [B]: whose clip stands beside each text as the wrong one */
  readonly negatives: Int32Array;
}

function init(config: SimvtpConfig, random: Random): SimvtpParams {
  const { vocabulary, width } = config;
  return {
    encoder: initClipEncoder(random, config),
    text_embeddings: initWordEmbeddings(random, config, width),
    ...initClipDecoder(random, config),
    text_cls: initLinear(random, width, vocabulary.length),
    vtm_head: initLinear(random, width, 2),
  };
}

function prepare(config: SimvtpConfig, samples: readonly AlignedSample[], random: Random): SimvtpBatch {
  const batch = samples.length;
  expectCaptioned("simvtp", samples, 2);
  const grid = patchGrid(config.video.size, config.video.patch) as [number, number, number];
  return {
    video: clipTensor(config, config.video.size, samples),
    mask: tubeMask({ batch, grid, ratio: config.videoMaskRatio }, random.child("video")),
    text: hideWords(config, captionsOf(samples), random.child("text")),
    negatives: derangement(batch, random.child("negatives")),
  };
}

/** A cyclic shift of a random order: nobody keeps their own. */
function derangement(count: number, random: Random): Int32Array {
  const order = random.permutation(count);
  const other = new Int32Array(count);
  order.forEach((item, i) => {
    other[item] = order[(i + 1) % count]!;
  });
  return other;
}

function loss(params: SimvtpParams, config: SimvtpConfig, batch: SimvtpBatch) {
  const { prediction, target, words, videoFeature, textFeature, matches } = predict(params, config, batch);
  const video = mse(prediction, target);
  const text = hiddenWordLoss(words, batch.text.labels);
  const contrast = tf.mul(
    infoNce(textFeature, videoFeature, { temperature: config.temperature }),
    2,
  ) as tf.Scalar;
  const size = batch.mask.batch;
  const matching = crossEntropy(
    matches,
    Int32Array.from({ length: 2 * size }, (_, i) => (i < size ? 1 : 0)),
  );
  const total = tf.addN([video, text, contrast, matching]) as tf.Scalar;
  return { total, video, text, contrast, matching };
}

/** Everything between the batch and the loss. */
export function predict(
  params: SimvtpParams,
  config: SimvtpConfig,
  { video, mask, text, negatives }: SimvtpBatch,
) {
  const cubes = patchify(video, config.video.patch); // [B, N, P]
  const target = constant(() => takeRows(cubeTarget(config, cubes, config.normaliseTarget), mask.masked));
  const seen = embedPlaced(params.encoder.patch_embed, cubes, mask); // [B, K, D]
  const read = embedWords(params.text_embeddings, text.ids, mask.batch);
  const padding = paddingBias(text, mask.batch);
  const { kept } = mask;

  const joint = encodeTokens(params, config, [seen, read], padding); // [B, K + L, D]
  const prediction = decodeClip(params, config, joint.slice([0, 0, 0], [-1, kept, -1]), mask);
  const words = applyLinear(params.text_cls, joint.slice([0, kept, 0])); // [B, L, vocabulary]

  const videoFeature = tf.mean(encodeTokens(params, config, [seen]), 1);
  const textFeature = tf.mean(encodeTokens(params, config, [read], padding), 1);

  const [batch, , width] = seen.shape as [number, number, number];
  const other = gatherAny(seen.reshape([batch, kept * width]) as tf.Tensor2D, negatives).reshape(seen.shape);
  const wrong = encodeTokens(params, config, [other, read], padding);
  const matches = applyLinear(
    params.vtm_head,
    tf.concat([tf.mean(joint, 1), tf.mean(wrong, 1)], 0),
  ) as tf.Tensor2D;
  return { prediction, target, words, videoFeature, textFeature, matches };
}

/** The one encoder on parts in a row; the last may be a text with padding. [B, sum of tokens, D] */
function encodeTokens(
  { encoder }: SimvtpParams,
  config: SimvtpConfig,
  parts: readonly tf.Tensor[],
  padding?: tf.Tensor4D,
): tf.Tensor3D {
  const tokens = parts.length === 1 ? parts[0]! : tf.concat([...parts], 1);
  const before = tokens.shape[1]! - (padding?.shape[3] ?? 0);
  const bias =
    padding === undefined || before === 0
      ? padding
      : tf.concat([tf.zeros([tokens.shape[0]!, 1, 1, before]), padding], 3);
  return encodeClipTokens(encoder, config, tokens, bias);
}

/** Means of the tokens, nothing hidden: of clip and text together, or of what a sample has. [B, D] */
function encode(
  params: SimvtpParams,
  config: SimvtpConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean", `simvtp: features are means of the tokens; pool "${pool}" is not there`);
  return encodeByPresence(withTextAsPart(samples), ["video", "text"], (group, present) => {
    const parts: tf.Tensor[] = [];
    if (present.includes("video"))
      parts.push(
        embedPlaced(
          params.encoder.patch_embed,
          patchify(clipTensor(config, config.video.size, group), config.video.patch),
        ),
      );
    if (!present.includes("text")) return tf.mean(encodeTokens(params, config, parts), 1);
    const text = encodeTexts(config.vocabulary, captionsOf(group), config.textLength);
    parts.push(embedWords(params.text_embeddings, text.ids, group.length));
    return tf.mean(encodeTokens(params, config, parts, paddingBias(text, group.length)), 1);
  });
}

function reconstruct(
  params: SimvtpParams,
  config: SimvtpConfig,
  batch: SimvtpBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const { mask, video } = batch;
  return clipReconstruction(config, video, predict(params, config, batch).prediction, mask, options);
}

export const simvtp = {
  id: "simvtp",
  modality: "multimodal",
  summary:
    "Clips and their captions in one encoder: hidden cubes and hidden words predicted, pairs contrasted and matched",
  paper: "Ma et al., SimVTP, 2022, arXiv 2212.03490",
  schema,
  presets: clipAutoencoderSizes,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<SimvtpConfig, AlignedSample, SimvtpBatch, SimvtpParams, MultimodalReconstruction>;
