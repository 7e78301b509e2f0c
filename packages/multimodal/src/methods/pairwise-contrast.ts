/**
 * Unsupervised Multimodal Emotion Recognition by pairwise contrastive losses. Franceschini, Fini, Beyan, Conti, Arrigoni, Ricci,
 * ICPR 2022, https://arxiv.org/abs/2207.11482
 *
 *   loss = mean over ordered pairs of modalities (i, j), and over samples b and views v, of
 *          -1/2 log( exp(s_bv) / sum over all (c, w) other than (b, v) of exp(z_i,bv . z_j,cw / temperature) )
 *   s_bv = z_i,bv . z_j,bv' / temperature,   v' the other of two views
 *
 * Each modality of a sample is cropped twice at random along its first extent (time), encoded on its own, projected by
 * Linear-ReLU-Linear and divided by its length. The form is that of the authors' supervised-contrastive code without labels,
 * with what it does: the diagonal that is removed there as "an anchor with itself" holds, between modalities, the pair of one
 * sample in the same view, so that this pair is neither positive nor negative; and the mean over positives divides by one more
 * than there are, which halves the loss. Features are taken before the projectors, those of all modalities side by side:
 * modalities meet in the loss and in what is learned from the features, nowhere before.
 *
 * Departures: the encoders are transformers over patches of any arrays, where the authors' are a transformer of word vectors,
 * temporal convolutions, a graph network of landmarks and R(2+1)D; a sample may lack modalities, which its pairs then leave out.
 * The authors' loop also trains on the samples it is tested with; here it trains on what it is given.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type EncodeOptions,
  expect,
  gatherAny,
  initLinear,
  type LinearParams,
  type LossTerms,
  l2Normalise,
  type Method,
  type Random,
  similarityLogits,
} from "@unmask/core";
import { z } from "zod";
import { type ArrayEncoderParams, arrayFeatures, encodeArrays, initArrayEncoder } from "../array-encoder.js";
import { type ArrayModality, arrayModalitySchema, stackArrays } from "../array-modality.js";
import { type ByModality, mapModalities } from "../by-modality.js";
import { count } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import { type AlignedSample, presence } from "../sample.js";

type PairwiseModality = Pick<ArrayModality, "size" | "patch" | "channels">;

export interface PairwiseConfig {
  readonly modalities: Readonly<Record<string, PairwiseModality>>;
  readonly crop: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly hidden: number;
  readonly projectorHidden: number;
  readonly projectorWidth: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  modalities: z
    .record(z.string(), arrayModalitySchema.pick({ size: true, patch: true, channels: true }))
    .default({
      video: { size: [8, 112, 112], patch: [2, 16, 16], channels: 3 },
      audio: { size: [128, 128], patch: [16, 16], channels: 1 },
    })
    .describe("each modality: size, patch, channels"),
  crop: z
    .number()
    .gt(0)
    .max(1)
    .default(0.75)
    .describe("share of a modality's first extent that a view keeps, in whole patches"),
  width: count.default(512).describe("width of the encoders' tokens, and of a modality's features"),
  depth: count.default(6).describe("blocks of each modality's encoder"),
  heads: count.default(8).describe("attention heads"),
  hidden: count.default(2048).describe("hidden width of the encoders' MLPs"),
  projectorHidden: count.default(1024).describe("hidden width of the projectors"),
  projectorWidth: count.default(512).describe("width of the space that modalities meet in"),
  temperature: z.number().positive().default(0.07).describe("of the contrast"),
}) satisfies z.ZodType<PairwiseConfig>;

const presets = {
  tiny: { width: 96, depth: 3, heads: 4, hidden: 384, projectorHidden: 192, projectorWidth: 96 },
  base: { width: 512, depth: 6, heads: 8, hidden: 2048, projectorHidden: 1024, projectorWidth: 512 },
} satisfies Record<string, Partial<PairwiseConfig>>;

export interface PairwiseParams extends ArrayEncoderParams {
  readonly projectors: ByModality<{ readonly hidden: LinearParams; readonly out: LinearParams }>;
}

export interface PairwiseBatch {
  /** [2 * B, ...view, C]: the first view of every sample, then the second; zeros where a sample lacks the modality */
  readonly views: ByModality<tf.Tensor>;
  /** [B]: 1 where a sample has the modality */
  readonly present: ByModality<Float32Array>;
}

const encoding = ({ heads }: PairwiseConfig) =>
  ({ fusion: "separate", fusionDepth: 0, heads, activation: "gelu", epsilon: 1e-6 }) as const;

/** The encoder's modalities also say how they are masked and weighed; here nothing is masked. */
const arrays = ({ modalities }: PairwiseConfig): ByModality<ArrayModality> =>
  mapModalities(modalities, (modality) => ({ ...modality, maskRatio: 0, weight: 1 }));

function init(config: PairwiseConfig, random: Random): PairwiseParams {
  const { width, projectorHidden, projectorWidth } = config;
  const names = Object.keys(config.modalities);
  expect(
    names.length > 1,
    `pairwise-contrast: takes two or more modalities, got ${names.join(", ") || "none"}`,
  );
  return {
    ...initArrayEncoder(random, arrays(config), { ...config, fusion: "separate", fusionDepth: 0 }),
    projectors: mapModalities(config.modalities, () => ({
      hidden: initLinear(random, width, projectorHidden),
      out: initLinear(random, projectorHidden, projectorWidth),
    })),
  };
}

function prepare(config: PairwiseConfig, samples: readonly AlignedSample[], random: Random): PairwiseBatch {
  const views = mapModalities(stackArrays(arrays(config), samples), (input, name) => {
    const draws = random.child(name);
    const view = () => cropFirst(input, viewExtent(config.modalities[name]!, config.crop), draws);
    return tf.concat([view(), view()]);
  });
  return { views, present: mapModalities(config.modalities, (_, name) => presence(samples, name)) };
}

/** Whole patches, at least one. */
const viewExtent = ({ size, patch }: PairwiseModality, crop: number): number =>
  patch[0]! * Math.max(1, Math.floor((size[0]! * crop) / patch[0]! + 1e-9));

/** A crop of each sample at a place of its own: [B, T, ...] -> [B, extent, ...] */
function cropFirst(input: tf.Tensor, extent: number, random: Random): tf.Tensor {
  const [batch, whole, ...rest] = input.shape as [number, number, ...number[]];
  const zeros = rest.map(() => 0);
  const crops = Array.from({ length: batch }, (_, b) =>
    input.slice([b, random.int(whole - extent + 1), ...zeros], [1, extent, ...rest]),
  );
  return tf.concat(crops);
}

function loss(params: PairwiseParams, config: PairwiseConfig, { views, present }: PairwiseBatch): LossTerms {
  const tokens = encodeArrays(params, arrays(config), { inputs: views }, encoding(config));
  const projected = mapModalities(tokens, (own, name) => project(params, name, own));
  const pairs = orderedPairs(projected, present, config.temperature);
  const terms = Object.values(pairs);
  const none = () => tf.mul(tf.sum(Object.values(projected)[0]!), 0);
  const total = terms.length === 0 ? none() : tf.div(tf.addN(terms), terms.length);
  return { total: total as tf.Scalar, ...pairs };
}

/** The contrast of each ordered pair of modalities that at least two samples have, by `anchors-others`. */
function orderedPairs(
  embeddings: ByModality<tf.Tensor>,
  present: ByModality<Float32Array>,
  temperature: number,
): Record<string, tf.Scalar> {
  const names = Object.keys(embeddings);
  const pairs: Record<string, tf.Scalar> = {};
  for (const anchors of names)
    for (const others of names) {
      if (anchors === others) continue;
      const both = [...present[anchors]!.keys()].filter(
        (b) => present[anchors]![b]! * present[others]![b]! === 1,
      );
      if (both.length < 2) continue; // nothing to tell apart
      const batch = present[anchors]!.length;
      const rows = Int32Array.from([...both, ...both.map((b) => batch + b)]);
      const [own, other] = [anchors, others].map((name) => gatherAny(embeddings[name] as tf.Tensor2D, rows));
      pairs[`${anchors}-${others}`] = otherViewContrast(own!, other!, temperature);
    }
  return pairs;
}

/**
 * Half of the mean cross-entropy of finding, among all rows of another modality but the one of the same sample and view, that of
 * the same sample in the other view.
 * @param anchors [2 * B, D], the first view of every sample, then the second
 * @param others [2 * B, D] the same of another modality
 */
export function otherViewContrast(anchors: tf.Tensor, others: tf.Tensor, temperature: number): tf.Scalar {
  const rows = anchors.shape[0]!;
  const removed = tf.mul(tf.eye(rows), -1e9);
  const logProbability = tf.logSoftmax(tf.add(similarityLogits(anchors, others, { temperature }), removed));
  const otherView = Int32Array.from({ length: rows }, (_, row) => (row + rows / 2) % rows);
  const positives = tf.oneHot(tf.tensor1d(otherView, "int32"), rows);
  return tf.mul(tf.sum(tf.mul(logProbability, positives)), -0.5 / rows);
}

/** [B, N, D] -> [B, d] */
function project({ projectors }: PairwiseParams, name: string, tokens: tf.Tensor): tf.Tensor {
  const { hidden, out } = projectors[name]!;
  return applyLinear(out, tf.relu(applyLinear(hidden, tf.mean(tokens, 1))));
}

/** Features of all modalities side by side, zeros for what a sample lacks, [B, M * D]; "tokens": of what it has, [B, N, D]. */
function encode(
  params: PairwiseParams,
  config: PairwiseConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === "mean" || pool === "tokens",
    'pairwise-contrast: has no class token; use pool "mean" or "tokens"',
  );
  const modalities = arrays(config);
  if (pool === "tokens") return arrayFeatures(params, modalities, samples, encoding(config), pool);
  const names = Object.keys(modalities);
  return encodeByPresence(samples, names, (group, present) => {
    const inputs = stackArrays(modalities, group, present);
    const tokens = encodeArrays(params, modalities, { inputs }, encoding(config));
    const features = names.map((name) =>
      tokens[name] === undefined ? tf.zeros([group.length, config.width]) : tf.mean(tokens[name], 1),
    );
    return tf.concat(features, 1);
  });
}

/** Unit rows [B, projectorWidth] of one modality of whole samples that have it, in the space that the contrast makes. */
export function embedPairwise(
  params: PairwiseParams,
  config: PairwiseConfig,
  samples: readonly AlignedSample[],
  name: string,
): tf.Tensor2D {
  expect(
    name in config.modalities && samples.every(({ parts }) => parts[name] !== undefined),
    () => `embedPairwise: expected samples with ${name}, one of ${Object.keys(config.modalities).join(", ")}`,
  );
  return tf.tidy(() => {
    const inputs = stackArrays(arrays(config), samples, [name]);
    const tokens = encodeArrays(params, arrays(config), { inputs }, encoding(config))[name]!;
    return l2Normalise(project(params, name, tokens)) as tf.Tensor2D;
  });
}

export const pairwiseContrastMethod = {
  id: "pairwise-contrast",
  modality: "multimodal",
  summary:
    "Contrast between every two modalities of a sample, each in two views; they meet in the loss alone",
  paper:
    "Franceschini et al., Multimodal Emotion Recognition with Modality-Pairwise Unsupervised Contrastive Loss, ICPR 2022, arXiv 2207.11482",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
} satisfies Method<PairwiseConfig, AlignedSample, PairwiseBatch, PairwiseParams>;
