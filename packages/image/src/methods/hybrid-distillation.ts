/**
 * Hybrid Distillation: Connecting Masked Autoencoders with Contrastive Learners. Shi, Zhang, Li, Chen, Xiong, ICLR 2024,
 * https://arxiv.org/abs/2306.15876
 *
 *   loss = relation + featureWeight * feature
 *   relation = 1/2 KL(R_qk(mae) || R_qk(student)) + 1/2 KL(R_vv(mae) || R_vv(student)),   R_ab = softmax(a b^T / sqrt d)
 *   feature  = mean smooth-L1(W h_i, norm(t_i)) over the patches i that are left
 *
 * A student learns from two frozen teachers on whole images: to tell things apart from the features t of a contrastive or
 * supervised one, and diversity of attention from the token relations of a masked autoencoder, at one late block. On
 * its way it drops redundant tokens, whose mean cosine to the others is highest: cheaper, and better for its attention. Both
 * losses are over the tokens that are left where they are taken; the teachers' queries, keys, values and features are
 * gathered by the same places, before any softmax.
 *
 * The authors announced their code and published none; this follows the paper. Our reading, where it leaves things open:
 * norm is a layer norm without weights, smooth-L1 has beta 2; tokens are dropped before evenly spaced blocks, a random half
 * (`dropShare`) of the 30 % most redundant (`redundantShare`). Which tokens go is read off the engine between blocks. The
 * student is MAE's encoder, under its parameter names.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBlock,
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  type BlockParams,
  buffer,
  constant,
  type EncodeOptions,
  expect,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  l2Normalise,
  type Method,
  normal,
  normaliseLayer,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  sinCos2d,
  smoothL1,
  type Teachers,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageGrid, imageInputShape, imageTensor } from "../batch.js";
import { poolTokens } from "../pool.js";
import type { ImageSample } from "../sample.js";
import { teacherTokens } from "../teacher-tokens.js";
import { blockRelations, modelRelations, type Relations, relationLoss } from "../token-relations.js";
import { count, type EncoderConfig, encoderShape, encoderSizes, hiddenWidth } from "../transformer-config.js";

export interface HybridDistillationConfig extends ImageInput, EncoderConfig {
  readonly contrastiveWidth: number;
  readonly relationLayer?: number;
  readonly teacherLayer?: number;
  readonly relationHeads?: number;
  readonly featureWeight: number;
  readonly dropSteps: number;
  readonly redundantShare: number;
  readonly dropShare: number;
}

const share = z.number().min(0).max(1);

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  contrastiveWidth: count.default(768).describe("width of the contrastive teacher's features of a patch"),
  relationLayer: count
    .optional()
    .describe("the student's block, from 1, whose relations are learnt; the last but one when not given"),
  teacherLayer: count
    .optional()
    .describe("the mae teacher's block, from 1, that they are learnt from; its last but one when not given"),
  relationHeads: count
    .optional()
    .describe("groups of channels that relations are taken of; the student's heads when not given"),
  featureWeight: z.number().nonnegative().default(1).describe("of the loss of features"),
  dropSteps: z
    .int()
    .nonnegative()
    .default(3)
    .describe("evenly spaced blocks before which tokens are dropped"),
  redundantShare: share.default(0.3).describe("share of the tokens that count as redundant at each of them"),
  dropShare: share.default(0.5).describe("share of the redundant tokens that are dropped, at random"),
}) satisfies z.ZodType<HybridDistillationConfig>;

const presets = encoderSizes satisfies Record<string, Partial<HybridDistillationConfig>>;

export interface HybridDistillationParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; the row of the class token is zero. */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
  /** [contrastive width, D] */
  readonly feature_head: LinearParams;
}

export interface HybridDistillationBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** [steps, B, N]: which of the redundant tokens go, those of the lowest numbers. */
  readonly noise: Float32Array;
  /** Of the contrastive teacher, [B, N, its width]. */
  readonly features: tf.Tensor3D;
  /** Of the mae teacher. */
  readonly relations: Relations;
}

function init(config: HybridDistillationConfig, random: Random): HybridDistillationParams {
  const { patchSize, channels, width, depth, qkvBias, relationLayer = 1 } = config;
  expect(
    relationLayer <= depth,
    `hybrid-distillation: relationLayer ${relationLayer} of a student of ${depth} blocks; choose one of 1 to ${depth}`,
  );
  const grid = imageGrid(config);
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(grid, width, { cls: true }).expandDims(0)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, config.mlpRatio),
      qkvBias: qkvBias ? "all" : "none",
    }),
    norm: initLayerNorm(width),
    feature_head: initLinear(random, width, config.contrastiveWidth),
  };
}

function prepare(
  config: HybridDistillationConfig,
  samples: readonly ImageSample[],
  random: Random,
  { contrastive, mae }: Teachers,
): HybridDistillationBatch {
  const [rows, columns] = imageGrid(config);
  const tokens = rows * columns;
  const relations = modelRelations("hybrid-distillation", mae!, samples, config.teacherLayer);
  expect(
    relations.q.shape[1] === tokens,
    `hybrid-distillation: the mae teacher has ${relations.q.shape[1]} patches, the student ${tokens}; choose imageSize and patchSize as the teacher has them`,
  );
  const shape = { tokens, width: config.contrastiveWidth, key: "contrastiveWidth" };
  return {
    images: imageTensor(config, samples),
    noise: random.uniforms(config.dropSteps * samples.length * tokens),
    features: teacherTokens("hybrid-distillation", contrastive!, samples, shape),
    relations,
  };
}

function loss(
  params: HybridDistillationParams,
  config: HybridDistillationConfig,
  { images, noise, features, relations }: HybridDistillationBatch,
) {
  const { atRelations, last } = encodeDropping(params, config, images, noise);
  const wanted = mapRelations(relations, (rows) => constant(() => takeRows(rows, atRelations.places)));
  const relation = relationLoss(atRelations.relations, wanted, config.relationHeads ?? config.heads);
  const target = constant(() => normaliseLayer(takeRows(features, last.places)));
  const feature = smoothL1(applyLinear(params.feature_head, last.tokens), target, { beta: 2 });
  const total = tf.add(relation, tf.mul(feature, config.featureWeight)) as tf.Scalar;
  return { total, relation, feature };
}

const mapRelations = ({ q, k, v }: Relations, f: (rows: tf.Tensor3D) => tf.Tensor3D): Relations => ({
  q: f(q),
  k: f(k),
  v: f(v),
});

interface Dropped {
  readonly atRelations: { readonly relations: Relations; readonly places: Int32Array };
  /** Features after the final norm, [B, n, D], of the patches at `places`, [B, n]. */
  readonly last: { readonly tokens: tf.Tensor3D; readonly places: Int32Array };
}

/** The student on whole images, its redundant tokens dropped on the way. */
export function encodeDropping(
  params: HybridDistillationParams,
  config: HybridDistillationConfig,
  images: tf.Tensor4D,
  noise: Float32Array,
): Dropped {
  const { blocks, norm } = params;
  const { heads, epsilon, activation, depth, relationLayer = Math.max(1, depth - 1) } = config;
  const [batch, [rows, columns]] = [images.shape[0], imageGrid(config)];
  const steps = dropBlocks(config);
  let places: Int32Array = Int32Array.from(
    { length: batch * rows * columns },
    (_, i) => i % (rows * columns),
  ); // [B, n]
  let atRelations: Dropped["atRelations"] | undefined;
  let x: tf.Tensor = embed(params, config, images); // [B, 1 + n, D]
  blocks.forEach((block, index) => {
    const step = steps.indexOf(index);
    if (step >= 0) {
      const draws = noise.subarray(step * batch * rows * columns, (step + 1) * batch * rows * columns);
      const left = tokensLeft(config, x, places, draws);
      places = left.places;
      x = takeRows(x, left.rows);
    }
    if (index === relationLayer - 1)
      atRelations = { relations: blockRelations(block, x, { epsilon, leading: 1 }), places };
    x = applyBlock(block, x, { heads, epsilon, activation });
  });
  const tokens = applyLayerNorm(norm, x.slice([0, 1, 0]), epsilon) as tf.Tensor3D;
  return { atRelations: atRelations!, last: { tokens, places } };
}

/** Blocks, from 0, before which tokens are dropped. */
function dropBlocks({ depth, dropSteps }: HybridDistillationConfig): number[] {
  return Array.from({ length: dropSteps }, (_, step) => Math.round((depth * (step + 1)) / (dropSteps + 1)));
}

/**
 * What stays: of the most redundant tokens those with the lowest draws go.
 * @param x [B, 1 + n, D], class token first
 * @param places [B, n]: the patch that each token is
 * @param draws [B, N], by patch
 * @returns places [B, m] of the patches that stay, and rows [B, 1 + m] of x
 */
export function tokensLeft(
  { redundantShare, dropShare }: Pick<HybridDistillationConfig, "redundantShare" | "dropShare">,
  x: tf.Tensor,
  places: Int32Array,
  draws: Float32Array,
): { readonly places: Int32Array; readonly rows: Int32Array } {
  const batch = x.shape[0]!;
  const count = places.length / batch;
  const patches = draws.length / batch;
  const redundant = Math.trunc(count * redundantShare + 1e-9);
  const gone = Math.trunc(redundant * dropShare + 1e-9);
  const left = count - gone;
  const scores = redundancy(x);
  const staying = new Int32Array(batch * left);
  const rows = new Int32Array(batch * (left + 1));
  for (let b = 0; b < batch; b++) {
    const score = (i: number) => scores[b * count + i]!;
    const draw = (i: number) => draws[b * patches + places[b * count + i]!]!;
    const byRedundancy = Array.from({ length: count }, (_, i) => i).sort(
      (i, j) => score(j) - score(i) || i - j,
    );
    const dropped = new Set(
      byRedundancy
        .slice(0, redundant)
        .sort((i, j) => draw(i) - draw(j) || i - j)
        .slice(0, gone),
    );
    let at = 0;
    for (let i = 0; i < count; i++) {
      if (dropped.has(i)) continue;
      staying[b * left + at] = places[b * count + i]!;
      rows[b * (left + 1) + ++at] = i + 1;
    }
  }
  return { places: staying, rows };
}

/** Sum of cosines to the other tokens, which orders as their mean does: [B, 1 + n, D] -> [B, n] */
function redundancy(x: tf.Tensor): Float32Array {
  const scores = constant(() => {
    const rows = l2Normalise(x.slice([0, 1, 0]));
    return tf.sum(tf.mul(rows, tf.sum(rows, 1, true)), 2);
  });
  return scores.dataSync() as Float32Array;
}

/** Class token, then patches, each with its position: [B, H, W, C] -> [B, 1 + N, D] */
function embed(
  { cls_token, patch_embed, pos_embed }: HybridDistillationParams,
  { patchSize }: HybridDistillationConfig,
  images: tf.Tensor4D,
): tf.Tensor3D {
  const patches = applyPatchEmbed(patch_embed, patchify(images, patchSize));
  return tf.add(prependToken(cls_token, patches), pos_embed);
}

function encode(
  params: HybridDistillationParams,
  config: HybridDistillationConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const { heads, epsilon, activation } = config;
  const encoded = params.blocks.reduce<tf.Tensor>(
    (x, block) => applyBlock(block, x, { heads, epsilon, activation }),
    embed(params, config, imageTensor(config, samples)),
  );
  return poolTokens(applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D, pool);
}

export const hybridDistillation = {
  id: "hybrid-distillation",
  modality: "image",
  summary:
    "Student of two frozen teachers: features of a contrastive one, token relations of a masked autoencoder",
  paper: "Shi et al., Hybrid Distillation, ICLR 2024, arXiv 2306.15876",
  schema,
  presets,
  teachers: {
    contrastive: "a contrastive or supervised image encoder with features of patches on the student's grid",
    mae: "a masked autoencoder that is a vision transformer on the student's grid",
  },
  init,
  prepare,
  loss,
  encode,
} satisfies Method<HybridDistillationConfig, ImageSample, HybridDistillationBatch, HybridDistillationParams>;
