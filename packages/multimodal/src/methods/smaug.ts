/**
 * SMAUG: Sparse Masked Autoencoder for Efficient Video-Language Pre-training. Lin, Wang, Song, Ren, Liu et al., ICCV 2023,
 * https://arxiv.org/abs/2211.11446. Experimental: no code was published, and this is a reading of the paper.
 *
 *   loss = MSE(hidden patches) + CE(hidden words) + InfoNCE(clip, text; learned temperature) + CE(is this the clip of this text?)
 *
 * A few frames, of each of which two thirds are hidden, each encoded alone; on the way the patches that its class token looks
 * at least are dropped, one token standing for them. A text is encoded apart, with and without a seventh of its words hidden;
 * then its words look into the frames that it asks for, half of them. The decoder predicts frames from the tokens before
 * that choice, mask tokens standing at hidden and at dropped places; only hidden ones count, normalised patch by patch
 * (N-joint). Hidden words are predicted from words that saw the clip. Class tokens of the intact text and of the frames
 * (their mean) are contrasted; what fits least well is asked of the intact text with its own clip, with another clip and with
 * another text, these drawn in proportion to exp(similarity).
 *
 * This project's reading: the ratios, where tokens are dropped and how (EViT), the selector (a perceptron, straight-through
 * top k with Gumbel noise), pre-norm blocks throughout, a linear layer to the vocabulary, hidden words always [MASK], all
 * weights 1. Texts that say the same are never each other's wrong one, where the batch has others.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  constant,
  crossEntropy,
  type EncodeOptions,
  expect,
  infoNce,
  initLinear,
  type LinearParams,
  l2Normalise,
  type Mask,
  type Method,
  maskedFlags,
  mse,
  normaliseJoint,
  parameter,
  type Random,
  type ReconstructOptions,
  randomMask,
  similarityLogits,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { captionsOf, expectCaptioned, withTextAsPart } from "../captioned.js";
import { clipColours, clipTensor } from "../clips.js";
import { count, ratio } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import {
  decodeFrames,
  type FrameDecoderConfig,
  type FrameDecoderParams,
  initFrameDecoder,
} from "../frame-decoder.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "../part-pictures.js";
import type { AlignedSample } from "../sample.js";
import {
  byClip,
  firstOf,
  fuseWords,
  initSmaugNetwork,
  keptFrames,
  poolWords,
  readWithClips,
  readWords,
  type SmaugNetworkConfig,
  type SmaugNetworkParams,
  seeClips,
  smaugPresets,
  smaugShape,
  wordsOf,
} from "../smaug-network.js";
import { encodeFrames, frameGrid, framePatches } from "../sparse-frames.js";
import { type HiddenWords, hiddenWordLoss, hideWords, paddingBias, type Words } from "../text/words.js";

export interface SmaugConfig extends SmaugNetworkConfig, FrameDecoderConfig {
  readonly projection: number;
  readonly videoMaskRatio: number;
  readonly wordMaskRatio: number;
  readonly normaliseTarget: boolean;
  readonly temperature: number;
}

const schema = z.strictObject({
  ...smaugShape,
  decoderWidth: count.default(384).describe("width of the decoder's tokens"),
  decoderDepth: count.default(4).describe("decoder blocks"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  projection: count.default(256).describe("width of the space that clips and texts meet in"),
  videoMaskRatio: ratio("share of each frame hidden").default(0.65),
  wordMaskRatio: ratio("chance of each word to be hidden").default(0.15),
  normaliseTarget: z.boolean().default(true).describe("patches with mean and deviation taken out"),
  temperature: z.number().positive().default(0.07).describe("of the contrast, at the start"),
}) satisfies z.ZodType<SmaugConfig>;

const presets = {
  tiny: { ...smaugPresets.tiny, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4, projection: 64 },
  base: {},
} satisfies Record<string, Partial<SmaugConfig>>;

export interface SmaugParams extends SmaugNetworkParams {
  readonly decoder: FrameDecoderParams;
  readonly frame_projection: LinearParams;
  readonly text_projection: LinearParams;
  /** [], the logarithm of 1 / temperature */
  readonly log_scale: tf.Variable;
  /** To the vocabulary. */
  readonly word_head: LinearParams;
  /** To 0: they do not belong together, 1: they do. */
  readonly match_head: LinearParams;
}

export interface SmaugBatch {
  /** [B, F, H, W, 3], normalised */
  readonly video: tf.Tensor5D;
  /** Of the B * F frames. */
  readonly mask: Mask;
  readonly hidden: HiddenWords;
  readonly whole: Words;
  /** Gumbel's, [4 * B, F] for the four kinds of pairs; absent where all frames are kept */
  readonly frameNoise?: tf.Tensor2D;
  /** Gumbel's, [B, B], far below 0 where a pair may not be drawn: clips for each text, texts for each clip */
  readonly otherClips: tf.Tensor2D;
  readonly otherTexts: tf.Tensor2D;
}

function init(config: SmaugConfig, random: Random): SmaugParams {
  const { width, projection, vocabulary, temperature } = config;
  return {
    ...initSmaugNetwork("smaug", config, random),
    decoder: initFrameDecoder(random, config),
    frame_projection: initLinear(random, width, projection),
    text_projection: initLinear(random, width, projection),
    log_scale: parameter(tf.scalar(Math.log(1 / temperature))),
    word_head: initLinear(random, width, vocabulary.length),
    match_head: initLinear(random, width, 2),
  };
}

function prepare(config: SmaugConfig, samples: readonly AlignedSample[], random: Random): SmaugBatch {
  expectCaptioned("smaug", samples, 2);
  const batch = samples.length;
  const [frames] = config.video.size;
  const [rows, columns] = frameGrid(config);
  const captions = captionsOf(samples);
  const draws = random.child("negatives");
  return {
    video: clipTensor(config, config.video.size, samples),
    mask: randomMask(
      { batch: batch * frames, tokens: rows * columns, ratio: config.videoMaskRatio },
      random.child("video"),
    ),
    hidden: hideWords(config, captions, random.child("text")),
    whole: wordsOf(config, samples),
    ...(keptFrames(config) < frames && {
      frameNoise: tf.tensor2d(gumbel(4 * batch * frames, random.child("frames")), [4 * batch, frames]),
    }),
    otherClips: tf.tensor2d(withoutOwn(captions, draws), [batch, batch]),
    otherTexts: tf.tensor2d(withoutOwn(captions, draws), [batch, batch]),
  };
}

const gumbel = (length: number, random: Random): Float32Array =>
  random.uniforms(length).map((u) => -Math.log(-Math.log(u + 1e-9) + 1e-9));

/** Gumbel noise of all pairs, -1e9 for a text's own clip and those of texts that say the same. [B * B] */
function withoutOwn(captions: readonly string[], random: Random): Float32Array {
  const batch = captions.length;
  const noise = gumbel(batch * batch, random);
  captions.forEach((caption, i) => {
    const alone = captions.every((other) => other === caption);
    captions.forEach((other, j) => {
      if (i === j || (other === caption && !alone)) noise[i * batch + j] = -1e9;
    });
  });
  return noise;
}

function loss(params: SmaugParams, config: SmaugConfig, batch: SmaugBatch) {
  return smaugTerms(predictSmaug(params, config, batch), batch.hidden.labels, params.log_scale);
}

/** The four terms, with equal weights. */
export function smaugTerms(
  { prediction, target, words, videoFeature, textFeature, matches }: ReturnType<typeof predictSmaug>,
  labels: Int32Array,
  logScale: tf.Tensor,
) {
  const size = textFeature.shape[0];
  const video = mse(prediction, target);
  const text = hiddenWordLoss(words, labels);
  const contrast = infoNce(videoFeature, textFeature, { logScale });
  const matching = crossEntropy(
    matches,
    Int32Array.from({ length: 3 * size }, (_, i) => (i < size ? 1 : 0)),
  );
  const total = tf.addN([video, text, contrast, matching]) as tf.Scalar;
  return { total, video, text, contrast, matching };
}

/** What hidden patches are predicted as: [B * F, N - K, P] */
export const frameTarget = ({ normaliseTarget }: Pick<SmaugConfig, "normaliseTarget">, patches: tf.Tensor) =>
  normaliseTarget ? normaliseJoint(patches) : patches;

/** Everything between the batch and the loss. */
function predictSmaug(
  params: SmaugParams,
  config: SmaugConfig,
  { video, mask, hidden, whole, frameNoise, otherClips, otherTexts }: SmaugBatch,
) {
  const size = video.shape[0];
  const patches = framePatches(video, config); // [B * F, N, P]
  const target = constant(() => frameTarget(config, takeRows(patches, mask.masked)));
  const seen = encodeFrames(params.frames, config, patches, { mask, prune: true });
  const prediction = takeRows(decodeFrames(params.decoder, config, seen), mask.masked);
  const clips = byClip(seen.tokens, config); // [B, F, M, D]
  const guessed = readWords(params, config, hidden, size); // [B, L, D]
  const texts = readWords(params, config, whole, size);

  const videoFeature = applyLinear(params.frame_projection, meanClass(clips)) as tf.Tensor2D;
  const textFeature = applyLinear(params.text_projection, firstOf(texts)) as tf.Tensor2D;
  const [clipOf, textOf] = drawOthers(params, videoFeature, textFeature, { otherClips, otherTexts });

  const bias = paddingBias(whole, size);
  const fused = fuseWords(
    params,
    config,
    tf.concat([guessed, texts, texts, pick(textOf, texts)], 0),
    tf.concat([clips, clips, pick(clipOf, clips), clips], 0),
    { bias: tf.concat([bias, bias, bias, pick(textOf, bias)], 0), noise: frameNoise },
  );
  return {
    prediction,
    target,
    videoFeature,
    textFeature,
    words: applyLinear(params.word_head, fused.slice([0, 0, 0], [size, -1, -1])), // [B, L, vocabulary]
    matches: applyLinear(params.match_head, firstOf(fused.slice([size, 0, 0]))) as tf.Tensor2D, // own, other clip, other text
  };
}

/** For each text another's clip, for each clip another's text, as rows with one 1: [B, B] each. No gradient. */
function drawOthers(
  { log_scale }: SmaugParams,
  videos: tf.Tensor2D,
  texts: tf.Tensor2D,
  { otherClips, otherTexts }: Pick<SmaugBatch, "otherClips" | "otherTexts">,
): [tf.Tensor2D, tf.Tensor2D] {
  const drawn = (from: tf.Tensor2D, to: tf.Tensor2D, noise: tf.Tensor2D) =>
    constant(() => {
      const scores = tf.add(similarityLogits(from, to, { logScale: log_scale }), noise);
      return tf.oneHot(tf.argMax(scores, 1).toInt(), noise.shape[1]).toFloat();
    }) as tf.Tensor2D;
  return [drawn(texts, videos, otherClips), drawn(videos, texts, otherTexts)];
}

/** Rows by one 1 each: [B, B] and [B, ...] -> [B, ...] */
const pick = <T extends tf.Tensor>(rows: tf.Tensor2D, x: T): T =>
  tf.matMul(rows, x.reshape([x.shape[0]!, -1])).reshape(x.shape) as T;

/** Class tokens of a clip's frames, their mean: [B, F, M, D] -> [B, D] */
const meanClass = (clips: tf.Tensor4D): tf.Tensor2D =>
  tf.mean(clips.slice([0, 0, 0, 0], [-1, -1, 1, -1]), [1, 2]);

/** Of a clip alone, a text alone, or a text that looked into its clip. [B, D] */
function encode(
  params: SmaugParams,
  config: SmaugConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === "mean" || pool === "cls",
    `smaug: tokens of clips and texts do not stand in one row; use pool "mean" or "cls", not "${pool}"`,
  );
  return encodeByPresence(withTextAsPart(samples), ["video", "text"], (group, present) => {
    const clips = () => clipTensor(config, config.video.size, group);
    if (!present.includes("text")) {
      const seen = seeClips(params, config, clips());
      return pool === "cls" ? meanClass(seen) : tf.mean(seen, [1, 2]);
    }
    const words = wordsOf(config, group);
    const read = present.includes("video")
      ? readWithClips(params, config, words, clips())
      : readWords(params, config, words, group.length);
    return poolWords(read, words, pool);
  });
}

/** Unit rows [B, projection] of the clips or the texts of samples: nearest rows are what retrieval finds first. */
export function embedSmaug(
  params: SmaugParams,
  config: SmaugConfig,
  samples: readonly AlignedSample[],
  part: "video" | "text",
): tf.Tensor2D {
  return tf.tidy(() => {
    if (part === "video") {
      const clips = seeClips(params, config, clipTensor(config, config.video.size, samples));
      return l2Normalise(applyLinear(params.frame_projection, meanClass(clips))) as tf.Tensor2D;
    }
    const read = readWords(params, config, wordsOf(config, samples), samples.length);
    return l2Normalise(applyLinear(params.text_projection, firstOf(read))) as tf.Tensor2D;
  });
}

/** [B]: how probable it is that each sample's text belongs to its clip; for the order of the nearest few. */
export function matchSmaug(
  params: SmaugParams,
  config: SmaugConfig,
  samples: readonly AlignedSample[],
): tf.Tensor1D {
  return tf.tidy(() => {
    const clips = clipTensor(config, config.video.size, samples);
    const read = readWithClips(params, config, wordsOf(config, samples), clips);
    const logits = applyLinear(params.match_head, firstOf(read));
    return tf.softmax(logits).slice([0, 1], [-1, 1]).reshape([samples.length]);
  });
}

function reconstruct(
  params: SmaugParams,
  config: SmaugConfig,
  { video, mask }: SmaugBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const { size, patch } = config.video;
  const grid = frameGrid(config);
  const hidden = maskedFlags(mask);
  const patches = framePatches(video, config);
  const seen = encodeFrames(params.frames, config, patches, { mask, prune: true });
  const predicted = decodeFrames(params.decoder, config, seen);
  const values = config.normaliseTarget
    ? denormalised(predicted, { patches, hidden, grid }, options)
    : predicted;
  const [batch] = video.shape;
  const tokens = size[0] * mask.tokens;
  const colours = (x: tf.Tensor) => clipColours(config, x.reshape([-1, 3])).reshape([batch, tokens, -1]);
  const flags = tf.tensor3d(hidden, [batch, tokens, 1]);
  return {
    parts: {
      video: partPictures(colours(patches), colours(values), flags, [size[0], ...grid], [1, ...patch]),
    },
    note: statisticsNote(config.normaliseTarget, options),
  };
}

export const smaug = {
  id: "smaug",
  modality: "multimodal",
  summary:
    "Frames and captions, both masked, tokens and frames that matter least dropped; for retrieval and questions",
  paper:
    "Lin et al., SMAUG: Sparse Masked Autoencoder for Efficient Video-Language Pre-training, ICCV 2023, arXiv 2211.11446",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<SmaugConfig, AlignedSample, SmaugBatch, SmaugParams, MultimodalReconstruction>;
