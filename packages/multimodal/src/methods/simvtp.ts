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
  applyBlock,
  applyLayerNorm,
  applyLinear,
  type BlockParams,
  buffer,
  constant,
  crossEntropy,
  type EncodeOptions,
  expect,
  gatherAny,
  infoNce,
  initBlock,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  normal,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  type Random,
  takeRows,
  truncatedNormal,
  tubeMask,
  uniform,
} from "@unmask/core";
import { z } from "zod";
import {
  clipColours,
  clipTensor,
  cubeTarget,
  decoderInput,
  embedPlaced,
  inPlace,
  withChannelStatistics,
} from "../clips.js";
import { count, ratio } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import { type MultimodalReconstruction, partPictures } from "../part-pictures.js";
import { type AlignedSample, having } from "../sample.js";
import { encodeTexts, SPECIAL } from "../text/word-piece.js";

export interface SimvtpConfig {
  readonly vocabulary: readonly string[];
  readonly video: {
    readonly size: readonly [number, number, number];
    readonly patch: readonly [number, number, number];
  };
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly textLength: number;
  readonly textPositions: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
  readonly videoMaskRatio: number;
  readonly wordMaskRatio: number;
  readonly normaliseTarget: boolean;
  readonly temperature: number;
}

const triple = z.tuple([count, count, count]).readonly();

const schema = z.strictObject({
  vocabulary: z
    .array(z.string())
    .readonly()
    .refine((words) => SPECIAL.every((word) => words.includes(word)), `must have ${SPECIAL.join(" ")}`)
    .default([...SPECIAL])
    .describe("WordPiece tokens in the order of their ids; the command line reads or learns them"),
  video: z
    .strictObject({ size: triple, patch: triple })
    .default({ size: [16, 224, 224], patch: [2, 16, 16] })
    .describe("clip of [frames, height, width] in colour, and one token of it"),
  mean: z.array(z.number()).length(3).readonly().default([0.485, 0.456, 0.406]).describe("of the colours"),
  std: z
    .array(z.number().positive())
    .length(3)
    .readonly()
    .default([0.229, 0.224, 0.225])
    .describe("of the colours"),
  textLength: count.default(32).describe("tokens of a text, [CLS] and [SEP] among them; more are cut off"),
  textPositions: count.default(512).describe("rows of the table of word positions"),
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  decoderWidth: count.default(384).describe("width of the decoder's tokens"),
  decoderDepth: count.default(4).describe("decoder blocks"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
  videoMaskRatio: ratio("share of the places of a clip hidden, in all frames").default(0.9),
  wordMaskRatio: ratio("chance of each word to be hidden").default(0.75),
  normaliseTarget: z
    .boolean()
    .default(true)
    .describe("cubes with mean and deviation of each channel taken out"),
  temperature: z.number().positive().default(0.05).describe("tau of the contrast"),
}) satisfies z.ZodType<SimvtpConfig>;

const presets = {
  tiny: { width: 96, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
  base: {},
} satisfies Record<string, Partial<SimvtpConfig>>;

/** BERT's layer norm. */
const TEXT_EPSILON = 1e-12;
/** What keeps padding out. */
const OFF = -10_000;

export interface SimvtpParams {
  readonly encoder: {
    readonly patch_embed: PatchEmbedParams;
    readonly blocks: readonly BlockParams[];
    readonly norm: LayerNormParams;
  };
  readonly text_embeddings: {
    /** [vocabulary, D] */
    readonly word_embeddings: { readonly weight: tf.Variable };
    readonly position_embeddings: { readonly weight: tf.Variable };
    /** [2, D]; the first row is used */
    readonly token_type_embeddings: { readonly weight: tf.Variable };
    readonly LayerNorm: LayerNormParams;
    /** [1, positions], tables of BERT's code. */
    readonly position_ids: tf.Variable;
    readonly token_type_ids: tf.Variable;
  };
  readonly encoder_to_decoder: LinearParams;
  readonly mask_token: tf.Variable;
  readonly decoder: {
    readonly blocks: readonly BlockParams[];
    readonly norm: LayerNormParams;
    readonly head: LinearParams;
  };
  /** To the vocabulary. */
  readonly text_cls: LinearParams;
  /** To 0: another's clip, 1: its own. */
  readonly vtm_head: LinearParams;
}

export interface SimvtpBatch {
  /** [B, T, H, W, 3], normalised */
  readonly video: tf.Tensor5D;
  readonly mask: Mask;
  readonly text: TextBatch;
  /** [B]: whose clip stands beside each text as the wrong one */
  readonly negatives: Int32Array;
}

interface TextBatch {
  /** [B, L] with hidden words as [MASK] */
  readonly ids: Int32Array;
  /** [B, L]: the words that are hidden, -100 elsewhere */
  readonly labels: Int32Array;
  /** [B, L]: 1 for words, 0 for padding */
  readonly present: Float32Array;
}

function init(config: SimvtpConfig, random: Random): SimvtpParams {
  const { vocabulary, video, textPositions, width, depth, decoderWidth, decoderDepth, mlpRatio } = config;
  const block = (width: number) =>
    initBlock(random, { width, hidden: Math.trunc(width * mlpRatio + 1e-6), qkvBias: "query-value" });
  const values = video.patch.reduce((a, b) => a * b, 3);
  const table = (rows: number) => ({ weight: parameter(normal(0.02)([rows, width], random)) });
  const bound = 1 / Math.sqrt(values);
  return {
    encoder: {
      patch_embed: initPatchEmbed(random, { patch: video.patch, channels: 3, width, init: uniform(bound) }),
      blocks: Array.from({ length: depth }, () => block(width)),
      norm: initLayerNorm(width),
    },
    text_embeddings: {
      word_embeddings: table(vocabulary.length),
      position_embeddings: table(textPositions),
      token_type_embeddings: table(2),
      LayerNorm: initLayerNorm(width),
      position_ids: buffer(tf.range(0, textPositions, 1, "int32").expandDims(0)),
      token_type_ids: buffer(tf.zeros([1, textPositions], "int32")),
    },
    encoder_to_decoder: initLinear(random, width, decoderWidth, { bias: false }),
    mask_token: parameter(truncatedNormal(0.02, 0.02)([1, 1, decoderWidth], random)),
    decoder: {
      blocks: Array.from({ length: decoderDepth }, () => block(decoderWidth)),
      norm: initLayerNorm(decoderWidth),
      head: initLinear(random, decoderWidth, values),
    },
    text_cls: initLinear(random, width, vocabulary.length),
    vtm_head: initLinear(random, width, 2),
  };
}

function prepare(config: SimvtpConfig, samples: readonly AlignedSample[], random: Random): SimvtpBatch {
  const batch = samples.length;
  expect(
    batch > 1 &&
      having(samples, "video").length === batch &&
      samples.every(({ texts }) => texts?.text !== undefined),
    `simvtp: takes two samples or more, each with the part video and the text "text"; got ${batch}`,
  );
  const grid = patchGrid(config.video.size, config.video.patch) as [number, number, number];
  return {
    video: clipTensor(config, config.video.size, samples),
    mask: tubeMask({ batch, grid, ratio: config.videoMaskRatio }, random.child("video")),
    text: hideWords(config, textsOf(samples), random.child("text")),
    negatives: derangement(batch, random.child("negatives")),
  };
}

const textsOf = (samples: readonly AlignedSample[]) => samples.map(({ texts }) => texts?.text ?? "");

/** Each word but the special ones is [MASK] with the chance of the config; one at least in every text that has any. */
function hideWords(
  { vocabulary, textLength, wordMaskRatio }: SimvtpConfig,
  texts: readonly string[],
  random: Random,
): TextBatch {
  const { ids, present } = encodeTexts(vocabulary, texts, textLength);
  const special = new Set(SPECIAL.map((word) => vocabulary.indexOf(word)));
  special.delete(vocabulary.indexOf("[UNK]"));
  const maskId = vocabulary.indexOf("[MASK]");
  const labels = new Int32Array(ids.length).fill(-100);
  texts.forEach((_, b) => {
    const words = Array.from({ length: textLength }, (_, i) => b * textLength + i).filter(
      (at) => !special.has(ids[at]!),
    );
    const drawn = words.filter(() => random.uniform() < wordMaskRatio);
    const hidden = drawn.length > 0 || words.length === 0 ? drawn : [words[random.int(words.length)]!];
    for (const at of hidden) {
      labels[at] = ids[at]!;
      ids[at] = maskId;
    }
  });
  return { ids, labels, present };
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
  const { labels } = batch.text;
  const hidden = Int32Array.from(labels.keys()).filter((at) => labels[at]! >= 0);
  const asked = gatherAny(words.reshape([labels.length, -1]) as tf.Tensor2D, hidden);
  const video = mse(prediction, target);
  const text =
    hidden.length === 0
      ? tf.scalar(0)
      : crossEntropy(
          asked,
          Int32Array.from(hidden, (at) => labels[at]!),
        );
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
  const read = embedText(params, text.ids, mask.batch);
  const padding = textBias(text, mask.batch);
  const { kept } = mask;

  const joint = encodeTokens(params, config, [seen, read], padding); // [B, K + L, D]
  const prediction = decode(params, config, joint.slice([0, 0, 0], [-1, kept, -1]), mask);
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

/** Words with their positions: [B, L] ids -> [B, L, D] */
function embedText({ text_embeddings }: SimvtpParams, ids: Int32Array, batch: number): tf.Tensor {
  const { word_embeddings, position_embeddings, token_type_embeddings, LayerNorm } = text_embeddings;
  const [, width] = word_embeddings.weight.shape as [number, number];
  const length = ids.length / batch;
  expect(
    length <= position_embeddings.weight.shape[0]!,
    () =>
      `simvtp: texts of ${length} tokens, the table has ${position_embeddings.weight.shape[0]} positions; raise textPositions`,
  );
  const words = gatherAny(word_embeddings.weight as tf.Tensor as tf.Tensor2D, ids).reshape([
    batch,
    length,
    width,
  ]);
  const places = tf.add(
    position_embeddings.weight.slice([0, 0], [length, width]),
    token_type_embeddings.weight.slice([0, 0], [1, width]),
  );
  return applyLayerNorm(LayerNorm, tf.add(words, places), TEXT_EPSILON);
}

/** What is added to the logits of a text's keys: [B, 1, 1, L] */
const textBias = ({ present }: Pick<TextBatch, "present">, batch: number): tf.Tensor4D =>
  tf.tensor4d(
    present.map((there) => (1 - there) * OFF),
    [batch, 1, 1, present.length / batch],
  );

/** The one encoder on parts in a row; the last may be a text with padding. [B, sum of tokens, D] */
function encodeTokens(
  { encoder }: SimvtpParams,
  { heads, epsilon }: SimvtpConfig,
  parts: readonly tf.Tensor[],
  padding?: tf.Tensor4D,
): tf.Tensor3D {
  const tokens = parts.length === 1 ? parts[0]! : tf.concat([...parts], 1);
  const before = tokens.shape[1]! - (padding?.shape[3] ?? 0);
  const bias =
    padding === undefined || before === 0
      ? padding
      : tf.concat([tf.zeros([tokens.shape[0]!, 1, 1, before]), padding], 3);
  const encoded = encoder.blocks.reduce((x, block) => applyBlock(block, x, { heads, epsilon, bias }), tokens);
  return applyLayerNorm(encoder.norm, encoded, epsilon) as tf.Tensor3D;
}

/** Predictions at the masked places: [B, K, D] -> [B, N - K, P] */
function decode(
  { encoder_to_decoder, mask_token, decoder }: SimvtpParams,
  { decoderHeads: heads, epsilon }: SimvtpConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor {
  const input: tf.Tensor = decoderInput(encoder_to_decoder, mask_token, latent, mask);
  const decoded = decoder.blocks.reduce((x, block) => applyBlock(block, x, { heads, epsilon }), input);
  return applyLinear(decoder.head, applyLayerNorm(decoder.norm, decoded.slice([0, mask.kept, 0]), epsilon));
}

/** Means of the tokens, nothing hidden: of clip and text together, or of what a sample has. [B, D] */
function encode(
  params: SimvtpParams,
  config: SimvtpConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean", `simvtp: features are means of the tokens; pool "${pool}" is not there`);
  // A text counts as a part here, so that samples are grouped by what they have.
  const marked = samples.map(({ parts, texts, ...sample }) => ({
    ...sample,
    texts,
    parts: {
      ...parts,
      ...(texts?.text === undefined ? {} : { text: { values: new Float32Array(0), shape: [0] } }),
    },
  }));
  return encodeByPresence(marked, ["video", "text"], (group, present) => {
    const parts: tf.Tensor[] = [];
    if (present.includes("video"))
      parts.push(
        embedPlaced(
          params.encoder.patch_embed,
          patchify(clipTensor(config, config.video.size, group), config.video.patch),
        ),
      );
    if (!present.includes("text")) return tf.mean(encodeTokens(params, config, parts), 1);
    const text = encodeTexts(config.vocabulary, textsOf(group), config.textLength);
    parts.push(embedText(params, text.ids, group.length));
    return tf.mean(encodeTokens(params, config, parts, textBias(text, group.length)), 1);
  });
}

function reconstruct(
  params: SimvtpParams,
  config: SimvtpConfig,
  batch: SimvtpBatch,
): MultimodalReconstruction {
  const { mask, video } = batch;
  const { prediction } = predict(params, config, batch);
  const shown = clipColours(config, video);
  const patches = patchify(shown, config.video.patch);
  const hidden = config.normaliseTarget
    ? withChannelStatistics(prediction, takeRows(patches, mask.masked), 3)
    : prediction;
  const placed = inPlace(hidden, mask);
  return {
    parts: {
      video: partPictures(
        patches,
        placed,
        mask,
        patchGrid(config.video.size, config.video.patch),
        config.video.patch,
      ),
    },
    note: config.normaliseTarget
      ? "hidden cubes as predicted, with the truth's mean and deviation"
      : "hidden cubes as predicted",
  };
}

export const simvtp = {
  id: "simvtp",
  modality: "multimodal",
  summary:
    "Clips and their captions in one encoder: hidden cubes and hidden words predicted, pairs contrasted and matched",
  paper: "Ma et al., SimVTP, 2022, arXiv 2212.03490",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<SimvtpConfig, AlignedSample, SimvtpBatch, SimvtpParams, MultimodalReconstruction>;
