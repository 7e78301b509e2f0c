/** Words as a transformer reads them: some hidden, each with its place, padding held off. The embeddings are BERT's. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  buffer,
  crossEntropy,
  expect,
  gatherAny,
  initLayerNorm,
  type LayerNormParams,
  normal,
  parameter,
  type Random,
} from "@unmask/core";
import { z } from "zod";
import { count } from "../config.js";
import { encodeTexts, SPECIAL } from "./word-piece.js";

export interface TextConfig {
  readonly vocabulary: readonly string[];
  readonly textLength: number;
  readonly textPositions: number;
}

export const vocabularySchema = z
  .array(z.string())
  .readonly()
  .refine((words) => SPECIAL.every((word) => words.includes(word)), `must have ${SPECIAL.join(" ")}`)
  .default([...SPECIAL])
  .describe("WordPiece tokens in the order of their ids; the command line reads or learns them");

/** Keys of a method's schema. */
export const textLengths = {
  textLength: count.default(32).describe("tokens of a text, [CLS] and [SEP] among them; more are cut off"),
  textPositions: count.default(512).describe("rows of the table of word positions"),
};

/** BERT's layer norm. */
const EPSILON = 1e-12;
/** What keeps padding out. */
const OFF = -10_000;

export interface Words {
  /** [B, L] */
  readonly ids: Int32Array;
  /** [B, L]: 1 for words, 0 for padding */
  readonly present: Float32Array;
}

export interface HiddenWords extends Words {
  /** [B, L]: the words that are hidden, -100 elsewhere; at hidden places `ids` has [MASK] */
  readonly labels: Int32Array;
}

/** Each word but the special ones is [MASK] with the chance of the config; one at least in every text that has any. */
export function hideWords(
  { vocabulary, textLength, wordMaskRatio }: TextConfig & { readonly wordMaskRatio: number },
  texts: readonly string[],
  random: Random,
): HiddenWords {
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

/** Cross-entropy over the hidden words, 0 where none is: [B, L, vocabulary] -> [] */
export function hiddenWordLoss(logits: tf.Tensor, labels: Int32Array): tf.Scalar {
  const hidden = Int32Array.from(labels.keys()).filter((at) => labels[at]! >= 0);
  if (hidden.length === 0) return tf.scalar(0);
  const asked = gatherAny(logits.reshape([labels.length, -1]) as tf.Tensor2D, hidden);
  return crossEntropy(
    asked,
    Int32Array.from(hidden, (at) => labels[at]!),
  );
}

export interface WordEmbeddings {
  /** [vocabulary, D] */
  readonly word_embeddings: { readonly weight: tf.Variable };
  readonly position_embeddings: { readonly weight: tf.Variable };
  /** [2, D]; the first row is used */
  readonly token_type_embeddings: { readonly weight: tf.Variable };
  readonly LayerNorm: LayerNormParams;
  /** [1, positions], tables of BERT's code. */
  readonly position_ids: tf.Variable;
  readonly token_type_ids: tf.Variable;
}

export function initWordEmbeddings(
  random: Random,
  { vocabulary, textPositions }: TextConfig,
  width: number,
): WordEmbeddings {
  const table = (rows: number) => ({ weight: parameter(normal(0.02)([rows, width], random)) });
  return {
    word_embeddings: table(vocabulary.length),
    position_embeddings: table(textPositions),
    token_type_embeddings: table(2),
    LayerNorm: initLayerNorm(width),
    position_ids: buffer(tf.range(0, textPositions, 1, "int32").expandDims(0)),
    token_type_ids: buffer(tf.zeros([1, textPositions], "int32")),
  };
}

/** Words with their positions: [B, L] ids -> [B, L, D] */
export function embedWords(params: WordEmbeddings, ids: Int32Array, batch: number): tf.Tensor3D {
  const { word_embeddings, position_embeddings, token_type_embeddings, LayerNorm } = params;
  const [, width] = word_embeddings.weight.shape as [number, number];
  const length = ids.length / batch;
  expect(
    length <= position_embeddings.weight.shape[0]!,
    () =>
      `texts of ${length} tokens, the table has ${position_embeddings.weight.shape[0]} positions; raise textPositions`,
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
  return applyLayerNorm(LayerNorm, tf.add(words, places), EPSILON) as tf.Tensor3D;
}

/** What is added to the logits of words as keys: [B, 1, 1, L] */
export const paddingBias = ({ present }: Pick<Words, "present">, batch: number): tf.Tensor4D =>
  tf.tensor4d(
    present.map((there) => (1 - there) * OFF),
    [batch, 1, 1, present.length / batch],
  );

/** The mean of the words without padding: [B, L, D] -> [B, D] */
export function meanOfWords(tokens: tf.Tensor, { present }: Pick<Words, "present">): tf.Tensor2D {
  const weights = tf.tensor3d(present, [tokens.shape[0]!, tokens.shape[1]!, 1]);
  return tf.div(tf.sum(tf.mul(tokens, weights), 1), tf.sum(weights, 1));
}
