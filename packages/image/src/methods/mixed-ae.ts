/**
 * MixedAE: Mixed Autoencoder for Self-supervised Visual Representation Learning. Chen, Liu, Hong, Xu, Li, Yeung, CVPR 2023,
 * https://arxiv.org/abs/2303.17152
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2 + lambda SupCon(tokens by the image they come from)
 *
 * Patches are mixed, not hidden: of g images one is made, which at every place shows one of them and as many patches of each.
 * The encoder sees it whole. Homologous attention lets a query look at as many patches as one image has, those of the
 * largest scores, so that it may find its own image's; homologous recognition makes tokens of one image alike and those of
 * others unlike. Each image is then reconstructed from its own tokens, mask tokens elsewhere, by MAE's decoder.
 *
 * No official code is public: what the paper leaves open is decided here. Each group of g images gives one mixture. The largest
 * scores are taken per head and query, before the softmax; scores equal to the last of them are kept too; the class token
 * may always be looked at. A learned embedding of each image of a mixture (`segments`) is added to its tokens; whole images
 * are encoded as the first, by plain attention. Recognition compares the tokens of one mixture through a linear projection.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyMlp,
  applyTransformer,
  type BlockParams,
  constant,
  decodeAll,
  decodeMasked,
  type EncodeOptions,
  embedPatches,
  expect,
  gatherAny,
  initLinear,
  type LinearParams,
  l2Normalise,
  type Mask,
  type Method,
  maskFromOrders,
  mse,
  normal,
  parameter,
  patchify,
  prependToken,
  type Random,
  type ReconstructOptions,
  selfAttention,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageGrid, imageInputShape, imageTensor } from "../batch.js";
import { pixelTarget } from "../pixel-target.js";
import { poolTokens } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import {
  count,
  type DecoderConfig,
  decoderShape,
  type EncoderConfig,
  encoderShape,
} from "../transformer-config.js";
import { type MaeParams, mae } from "./mae.js";

export interface MixedAeConfig extends ImageInput, EncoderConfig, DecoderConfig {
  readonly mixed: number;
  readonly segments: boolean;
  readonly plainBlocks: number;
  readonly recognitionWeight: number;
  readonly recognitionWidth: number;
  readonly temperature: number;
  readonly normalisePixels: boolean;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  ...decoderShape,
  mixed: z.int().min(2).default(2).describe("images of a mixture; must divide the number of patches"),
  segments: z.boolean().default(true).describe("tokens are told which image of the mixture they come from"),
  plainBlocks: z.int().nonnegative().default(0).describe("last encoder blocks that keep plain attention"),
  recognitionWeight: z.number().nonnegative().default(0.1).describe("weight of homologous recognition"),
  recognitionWidth: count.default(256).describe("width in which tokens are compared"),
  temperature: z.number().positive().default(0.25).describe("of homologous recognition"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
}) satisfies z.ZodType<MixedAeConfig>;

export interface MixedAeParams extends MaeParams {
  /** [mixed, D]; absent without segments. */
  readonly segment_embed?: tf.Variable;
  readonly homologous_proj: LinearParams;
}

export interface MixedAeBatch {
  /** [G * mixed, H, W, C], normalised; the images of a mixture stand together, the first ones again where one lacks some. */
  readonly images: tf.Tensor4D;
  /** Images that were given. */
  readonly count: number;
  /** [G, N]: places of patches in random order, the first N / mixed of them shown by the first image, and so on. */
  readonly orders: Int32Array;
}

function init(config: MixedAeConfig, random: Random): MixedAeParams {
  const { width, mixed, segments, recognitionWidth } = config;
  const [rows, columns] = imageGrid(config);
  expect(
    (rows * columns) % mixed === 0 && rows * columns > mixed,
    `mixed-ae: ${rows * columns} patches cannot be shared by ${mixed} images; choose mixed among their proper divisors`,
  );
  return {
    ...mae.init(config, random),
    ...(segments && { segment_embed: parameter(normal(0.02)([mixed, width], random)) }),
    homologous_proj: initLinear(random, width, recognitionWidth),
  };
}

function prepare(config: MixedAeConfig, samples: readonly ImageSample[], random: Random): MixedAeBatch {
  const groups = Math.ceil(samples.length / config.mixed);
  const members = Array.from({ length: groups * config.mixed }, (_, i) => samples[i % samples.length]!);
  const [rows, columns] = imageGrid(config);
  const orders = new Int32Array(groups * rows * columns);
  for (let group = 0; group < groups; group++)
    orders.set(random.permutation(rows * columns), group * rows * columns);
  return { images: imageTensor(config, members), count: samples.length, orders };
}

function loss(params: MixedAeParams, config: MixedAeConfig, { images, orders }: MixedAeBatch) {
  const patches = patchify(images, config.patchSize); // [G * g, N, P]
  const sources = sourcesOf(orders, patches.shape[1], config.mixed);
  const { latent, homologous } = encodeMixtures(params, config, mixPatches(patches, sources), sources);
  const mask = maskOfImages(orders, patches.shape[1], config.mixed);
  const target = constant(() => pixelTarget(config, takeRows(patches, mask.masked)));
  const pixels = mse(decodeMasked(params, config, unmixed(latent, orders, config.mixed), mask), target);
  const recognition = recognitionLoss(params, config, latent, sources);
  const total = tf.add(pixels, tf.mul(recognition, config.recognitionWeight)) as tf.Scalar;
  return { total, pixels, recognition, ...(homologous && { homologous }) };
}

/** Which image of its mixture shows each place: [G, N] of 0..g-1 */
export function sourcesOf(orders: Int32Array, tokens: number, mixed: number): Int32Array {
  const sources = new Int32Array(orders.length);
  orders.forEach((place, i) => {
    sources[i - (i % tokens) + place] = Math.floor(((i % tokens) * mixed) / tokens);
  });
  return sources;
}

/** Patches of the mixtures: [G * g, N, P] -> [G, N, P] */
export function mixPatches(patches: tf.Tensor3D, sources: Int32Array): tf.Tensor3D {
  const [, tokens, size] = patches.shape;
  const index = sources.map((source, i) => source * tokens + (i % tokens));
  return takeRows(patches.reshape([sources.length / tokens, -1, size]), index);
}

/** One mask for each image: its own places visible, in the order in which they were drawn. */
export function maskOfImages(orders: Int32Array, tokens: number, mixed: number): Mask {
  const own = tokens / mixed;
  const perImage = new Int32Array(orders.length * mixed);
  for (let image = 0; image * tokens < perImage.length; image++) {
    const group = Math.floor(image / mixed) * tokens;
    const start = (image % mixed) * own;
    const order = orders.subarray(group, group + tokens);
    perImage.set(order.subarray(start), image * tokens);
    perImage.set(order.subarray(0, start), image * tokens + tokens - start);
  }
  return maskFromOrders(perImage, perImage.length / tokens, own);
}

interface Encoded {
  /** [G, 1 + N, D] */
  readonly latent: tf.Tensor3D;
  /** Share of the patches looked at, in the last block with homologous attention, that come from the query's own image. */
  readonly homologous?: tf.Scalar;
}

/** Mixed patches [G, N, P], each with the image that shows it, through all blocks and the final norm. */
export function encodeMixtures(
  params: MixedAeParams,
  config: MixedAeConfig,
  mixtures: tf.Tensor3D,
  sources: Int32Array,
): Encoded {
  const tokens = embedPatches(params, mixtures);
  const { segment_embed } = params;
  const placed =
    segment_embed === undefined
      ? tokens
      : tf.add(tokens, gatherAny(segment_embed, sources).reshape(tokens.shape));
  const seen = tokens.shape[1] / config.mixed;
  const attentive = params.blocks.length - config.plainBlocks;
  let homologous: tf.Scalar | undefined;
  let x: tf.Tensor = prependToken(params.cls_token, placed as tf.Tensor3D);
  params.blocks.slice(0, Math.max(0, attentive)).forEach((block, i) => {
    const { output, bias } = homologousBlock(block, config, x, seen);
    x = output;
    if (i === attentive - 1) homologous = homologousShare(bias, sources);
  });
  const { heads, epsilon, activation } = config;
  x = applyTransformer(params.blocks.slice(Math.max(0, attentive)), x, { heads, epsilon, activation });
  return { latent: applyLayerNorm(params.norm, x, epsilon) as tf.Tensor3D, homologous };
}

/** A transformer block whose queries look at the class token and at `seen` patches: [G, 1 + N, D] */
function homologousBlock(
  { norm1, attn, norm2, mlp }: BlockParams,
  { heads, epsilon, activation }: MixedAeConfig,
  x: tf.Tensor,
  seen: number,
): { output: tf.Tensor; bias: tf.Tensor4D } {
  const qkv = applyLinear(attn.qkv, applyLayerNorm(norm1, x, epsilon));
  const bias = largestScores(qkv, heads, seen);
  const attended = applyLinear(attn.proj, selfAttention(qkv, { heads, bias }), { residual: x });
  const output = applyMlp(mlp, applyLayerNorm(norm2, attended, epsilon), { activation, residual: attended });
  return { output, bias };
}

/**
 * 0 where a query may look, a large negative number elsewhere: at the class token, and at the `seen` patches of its largest
 * scores. The choice has no gradient.
 * @param qkv [G, 1 + N, 3D]
 * @returns [G, heads, 1 + N, 1 + N]
 */
export function largestScores(qkv: tf.Tensor, heads: number, seen: number): tf.Tensor4D {
  const [batch, length, triple] = qkv.shape as [number, number, number];
  return constant(() => {
    const split = qkv.reshape([batch, length, 3, heads, triple / 3 / heads]).transpose([2, 0, 3, 1, 4]);
    const [q, k] = tf.unstack(split) as [tf.Tensor4D, tf.Tensor4D]; // [G, heads, 1 + N, width of a head]
    const scores = tf.matMul(q, k.slice([0, 0, 1, 0]), false, true); // [G, heads, 1 + N, N]
    const least = tf.topk(scores, seen).values.slice([0, 0, 0, seen - 1]);
    const blocked = tf.mul(tf.cast(tf.less(scores, least), "float32"), -1e30);
    return tf.concat([tf.zeros([batch, heads, length, 1]), blocked], 3) as tf.Tensor4D;
  });
}

/** How much of what patches look at comes from their own image. */
function homologousShare(bias: tf.Tensor4D, sources: Int32Array): tf.Scalar {
  const [groups, , length] = bias.shape;
  return constant(() => {
    const seen = tf.cast(tf.equal(bias.slice([0, 0, 1, 1]), 0), "float32"); // [G, heads, N, N]
    const alike = sameSource(sources, groups, length - 1).expandDims(1);
    return tf.div(tf.sum(tf.mul(seen, alike)), tf.sum(seen)) as tf.Scalar;
  });
}

/** 1 where two places of a mixture show the same image: [G, N, N] */
function sameSource(sources: Int32Array, groups: number, tokens: number): tf.Tensor3D {
  const ids = tf.tensor3d(Float32Array.from(sources), [groups, tokens, 1]);
  return tf.cast(tf.equal(ids, ids.transpose([0, 2, 1])), "float32") as tf.Tensor3D;
}

/** For each token the mean log-probability of its own image's others among all others of the mixture, negated. */
export function recognitionLoss(
  params: MixedAeParams,
  { temperature }: MixedAeConfig,
  latent: tf.Tensor3D,
  sources: Int32Array,
): tf.Scalar {
  const rows = l2Normalise(applyLinear(params.homologous_proj, latent.slice([0, 1, 0]))); // [G, N, R]
  const [groups, tokens] = rows.shape as [number, number, number];
  const self = tf.eye(tokens);
  const similarity = tf.div(tf.matMul(rows, rows, false, true), temperature);
  const logs = tf.logSoftmax(tf.sub(similarity, tf.mul(self, 1e9))); // [G, N, N]
  const positives = tf.sub(sameSource(sources, groups, tokens), self);
  const perToken = tf.div(tf.sum(tf.mul(logs, positives), 2), tf.sum(positives, 2));
  return tf.neg(tf.mean(perToken)) as tf.Scalar;
}

/** The tokens of each image, class token of its mixture first: [G, 1 + N, D] -> [G * g, 1 + N / g, D] */
function unmixed(latent: tf.Tensor3D, orders: Int32Array, mixed: number): tf.Tensor3D {
  const [groups, length, width] = latent.shape;
  const own = (length - 1) / mixed;
  const patches = takeRows(
    latent,
    orders.map((place) => place + 1),
  ).reshape([groups * mixed, own, width]);
  const cls = tf.add(latent.slice([0, 0, 0], [-1, 1, -1]), tf.zeros([groups, mixed, width]));
  return tf.concat([cls.reshape([groups * mixed, 1, width]), patches], 1) as tf.Tensor3D;
}

function encode(
  params: MixedAeParams,
  config: MixedAeConfig,
  samples: readonly ImageSample[],
  { pool = "cls" }: EncodeOptions = {},
) {
  const { heads, epsilon, activation } = config;
  const tokens = embedPatches(params, patchify(imageTensor(config, samples), config.patchSize));
  const { segment_embed } = params;
  const placed = segment_embed === undefined ? tokens : tf.add(tokens, segment_embed.slice([0, 0], [1, -1]));
  const start = prependToken(params.cls_token, placed as tf.Tensor3D);
  const encoded = applyTransformer(params.blocks, start, { heads, epsilon, activation });
  return poolTokens(applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D, pool);
}

function reconstruct(
  params: MixedAeParams,
  config: MixedAeConfig,
  { images, count: given, orders }: MixedAeBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const patches = patchify(images, config.patchSize);
  const [, tokens] = patches.shape;
  const sources = sourcesOf(orders, tokens, config.mixed);
  const { latent } = encodeMixtures(params, config, mixPatches(patches, sources), sources);
  const mask = maskOfImages(orders, tokens, config.mixed);
  const prediction = decodeAll(params, config, unmixed(latent, orders, config.mixed), mask);
  const pictures = reconstruction(
    config,
    { patches, prediction, mask, normalised: config.normalisePixels },
    options,
  );
  const first = (pixels: tf.Tensor4D) => pixels.slice([0, 0, 0, 0], [given, -1, -1, -1]);
  return {
    original: first(pictures.original),
    masked: first(pictures.masked),
    reconstructed: first(pictures.reconstructed),
    combined: first(pictures.combined),
    note: pictures.note,
  };
}

export const mixedAe = {
  id: "mixed-ae",
  modality: "image",
  summary:
    "Patches of several images mixed; tokens find their own image's, each image is reconstructed from its own",
  paper:
    "Chen et al., Mixed Autoencoder for Self-supervised Visual Representation Learning, CVPR 2023, arXiv 2303.17152",
  schema,
  presets: mae.presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<MixedAeConfig, ImageSample, MixedAeBatch, MixedAeParams, ImageReconstruction>;
