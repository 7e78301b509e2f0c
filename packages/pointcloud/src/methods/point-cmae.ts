/**
 * Point-CMAE: Bringing Masked Autoencoders Explicit Contrastive Properties for Point Cloud Self-Supervised Learning.
 * Ren, Wang, Dai, Gool, Wu, Song, ACCV 2024, https://arxiv.org/abs/2407.05862
 *
 *   total = reconstructionWeight (chamfer_1 + chamfer_2) + contrast
 *   contrast = sum_{i hidden twice} sum_j (1 - cos(f1_i, f2_j) + 1e-8) / (#{i hidden twice} G)
 *
 * Point-MAE twice over the same groups: one encoder, two random masks, class tokens, decoders; f1 and f2 are the decoders'
 * tokens before their norm. Quirks of the reference, kept: a group hidden twice is drawn to ALL groups of the other branch
 * (`agreement: "matched"` draws it to itself alone, as the text of the paper suggests); a projection of the class token is
 * computed, its running statistics move, and nothing uses it; a batch of one sample leaves them still. No gradient is
 * stopped. Parameter names, shapes and initial distributions are those of the reference implementation.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  type BatchNormParams,
  type ConvParams,
  chamfer,
  type DropPath,
  drawDropPath,
  type EncodeOptions,
  initBatchNorm,
  initLinear,
  type LinearParams,
  l2Normalise,
  type Mask,
  type Method,
  maskedFlags,
  parameter,
  prependToken,
  type Random,
  takeRows,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import {
  count,
  type GroupedPoints,
  groupedTensors,
  type PointInput,
  pointInputShape,
  takeGroups,
} from "../batch.js";
import {
  decodeGroups,
  embedGroups,
  encodeGroups,
  type GroupDecoderParams,
  type GroupEncoderParams,
  type HiddenGroupsConfig,
  hiddenGroupsShape,
  initGroupDecoder,
  initGroupEncoder,
  POSITION_WIDTH,
  smallGroups,
} from "../layers/group-encoder.js";
import { applyPointConv, byBatch, byRunningStatistics, initPointConv } from "../layers/point-conv.js";
import { applyPositions, initPositions, type PositionParams } from "../layers/positioned-transformer.js";
import { randomGroupMask } from "../masking.js";
import { poolGroups } from "../pool.js";
import { atCentres, type PointReconstruction } from "../reconstruction.js";
import type { PointSample } from "../sample.js";

export interface PointCmaeConfig extends PointInput, HiddenGroupsConfig {
  readonly projectionWidth: number;
  readonly agreement: "all" | "matched";
  readonly reconstructionWeight: number;
}

const schema = z.strictObject({
  ...pointInputShape,
  ...hiddenGroupsShape,
  projectionWidth: count.default(256).describe("width of the class token's projection, which no loss uses"),
  agreement: z
    .enum(["all", "matched"])
    .default("all")
    .describe(
      "draw a group hidden twice to all groups of the other branch (the published code), or to itself",
    ),
  reconstructionWeight: z.number().positive().default(1000).describe("factor of the Chamfer distances"),
}) satisfies z.ZodType<PointCmaeConfig>;

/** `base` is the paper's; `tiny` is for small data and machines. */
const presets = {
  tiny: { ...smallGroups, projectionWidth: 128 },
  base: {},
} satisfies Record<string, Partial<PointCmaeConfig>>;

type EncoderParams = GroupEncoderParams & {
  /** [1, 1, D] each */
  readonly cls_token1: tf.Variable;
  readonly cls_pos1: tf.Variable;
  readonly cls_token2: tf.Variable;
  readonly cls_pos2: tf.Variable;
  readonly proj_cls: { readonly 0: LinearParams; readonly 1: BatchNormParams; readonly 3: LinearParams };
};

export interface PointCmaeParams {
  readonly MAE_encoder: EncoderParams;
  readonly mask_token1: tf.Variable;
  readonly mask_token2: tf.Variable;
  readonly decoder_pos_embed1: PositionParams;
  readonly decoder_pos_embed2: PositionParams;
  readonly MAE_decoder: GroupDecoderParams;
  readonly MAE_decoder_: GroupDecoderParams;
  readonly increase_dim: { readonly 0: ConvParams };
  readonly increase_dim_: { readonly 0: ConvParams };
}

export interface PointCmaeBatch extends GroupedPoints {
  readonly masks: readonly [Mask, Mask];
  readonly dropPaths: readonly [DropPath?, DropPath?];
  readonly decoderDropPaths: readonly [DropPath?, DropPath?];
}

function init(config: PointCmaeConfig, random: Random): PointCmaeParams {
  const { width, groupSize, decoderDepth, projectionWidth } = config;
  const weights = truncatedNormal(0.02);
  const token = () => parameter(weights([1, 1, width], random));
  const decoder = () => initGroupDecoder(random, config, decoderDepth);
  return {
    MAE_encoder: {
      ...initGroupEncoder(random, config, weights),
      cls_token1: token(),
      cls_pos1: token(),
      cls_token2: token(),
      cls_pos2: token(),
      proj_cls: {
        0: initLinear(random, width, projectionWidth, { init: weights }),
        1: initBatchNorm(projectionWidth),
        3: initLinear(random, projectionWidth, projectionWidth, { init: weights }),
      },
    },
    mask_token1: token(),
    mask_token2: token(),
    decoder_pos_embed1: initPositions(random, POSITION_WIDTH, width),
    decoder_pos_embed2: initPositions(random, POSITION_WIDTH, width),
    MAE_decoder: decoder(),
    MAE_decoder_: decoder(),
    increase_dim: { 0: initPointConv(random, width, 3 * groupSize) },
    increase_dim_: { 0: initPointConv(random, width, 3 * groupSize) },
  };
}

function prepare(config: PointCmaeConfig, samples: readonly PointSample[], random: Random): PointCmaeBatch {
  const { groups, depth, decoderDepth, dropPath, maskRatio } = config;
  const { hostCentres: _, ...grouped } = groupedTensors("point-cmae", samples, config);
  const batch = samples.length;
  const mask = () => randomGroupMask(batch, groups, maskRatio, random);
  const drops = (blocks: number) => drawDropPath(random, blocks, batch, dropPath);
  return {
    ...grouped,
    masks: [mask(), mask()],
    dropPaths: [drops(depth), drops(depth)],
    decoderDropPaths: [drops(decoderDepth), drops(decoderDepth)],
  };
}

function loss(params: PointCmaeParams, config: PointCmaeConfig, batch: PointCmaeBatch) {
  const tokens = embedGroups(params.MAE_encoder, batch.neighbourhoods, byBatch);
  const [first, second] = ([0, 1] as const).map((branch) => branchOf(params, config, batch, tokens, branch));
  for (const { cls } of [first!, second!]) if (cls.shape[0] > 1) projectClass(params, cls);
  const reconstruction = tf.add(first!.distance, second!.distance) as tf.Scalar;
  const contrast = contrastOf(config, batch.masks, first!.decoded, second!.decoded);
  const total = tf.add(tf.mul(reconstruction, config.reconstructionWeight), contrast) as tf.Scalar;
  return { total, reconstruction, contrast };
}

/** One mask's way through encoder and decoder. */
export function branchOf(
  params: PointCmaeParams,
  config: PointCmaeConfig,
  batch: PointCmaeBatch,
  tokens: tf.Tensor3D,
  branch: 0 | 1,
) {
  const mask = batch.masks[branch];
  const dropPath = batch.dropPaths[branch];
  const { cls, latent } = encodeBranch(params, config, takeRows(tokens, mask.keep), {
    centres: takeRows(batch.centres, mask.keep),
    branch,
    dropPath,
  });
  const { decoded, hidden, points } = decodeBranch(params, config, batch, latent, branch);
  const truth = takeGroups(batch.neighbourhoods, mask.masked).reshape(points.shape);
  return {
    cls,
    latent,
    /** Hidden tokens after the decoder's norm: [B, M, D] */
    hidden,
    /** All tokens before it, visible ones first: [B, G, D] */
    decoded,
    distance: chamfer(points, truth, { norm: config.distance }),
  };
}

function encodeBranch(
  { MAE_encoder: encoder }: PointCmaeParams,
  config: PointCmaeConfig,
  tokens: tf.Tensor3D,
  { centres, branch, dropPath }: { centres: tf.Tensor3D; branch: 0 | 1; dropPath?: DropPath },
) {
  const [token, place] =
    branch === 0 ? [encoder.cls_token1, encoder.cls_pos1] : [encoder.cls_token2, encoder.cls_pos2];
  const positions = prependToken(place, applyPositions(encoder.pos_embed, centres));
  const encoded = encodeGroups(encoder, config, prependToken(token, tokens), positions, { dropPath });
  const [batch, , width] = encoded.shape;
  const cls = encoded.slice([0, 0, 0], [batch, 1, width]).reshape([batch, width]) as tf.Tensor2D;
  return { cls, latent: encoded.slice([0, 1, 0]) as tf.Tensor3D };
}

function decodeBranch(
  params: PointCmaeParams,
  { decoderHeads: heads, epsilon }: PointCmaeConfig,
  { masks, centres, decoderDropPaths }: PointCmaeBatch,
  latent: tf.Tensor3D,
  branch: 0 | 1,
) {
  const mask = masks[branch];
  const [decoder, maskToken, embed, head] =
    branch === 0
      ? [params.MAE_decoder, params.mask_token1, params.decoder_pos_embed1, params.increase_dim]
      : [params.MAE_decoder_, params.mask_token2, params.decoder_pos_embed2, params.increase_dim_];
  const order = tf.concat([takeRows(centres, mask.keep), takeRows(centres, mask.masked)], 1);
  const tokens = decodeGroups(decoder, latent, maskToken, applyPositions(embed, order), {
    heads,
    epsilon,
    dropPath: decoderDropPaths[branch],
  });
  const hidden = applyLayerNorm(decoder.norm, tokens.slice([0, mask.kept, 0]), epsilon) as tf.Tensor3D;
  const points = applyPointConv(head[0], hidden).reshape([mask.masked.length, -1, 3]) as tf.Tensor3D;
  return { decoded: tokens, hidden, points };
}

/** What the reference computes of the class token and does not use; moves the running statistics. [B, D] -> [B, P] */
export function projectClass(
  { MAE_encoder: { proj_cls: head } }: PointCmaeParams,
  cls: tf.Tensor2D,
): tf.Tensor {
  return applyLinear(head[3], tf.relu(byBatch(head[1], applyLinear(head[0], cls))));
}

/** Tokens hidden twice against the tokens of the other branch. [B, G, D] each, in the order of their decoder */
function contrastOf(
  { agreement }: PointCmaeConfig,
  [first, second]: readonly [Mask, Mask],
  a: tf.Tensor3D,
  b: tf.Tensor3D,
): tf.Scalar {
  const [batch, groups] = a.shape;
  const [ofFirst, ofSecond] = [maskedFlags(first), maskedFlags(second)];
  const twice = tf.tensor2d(
    ofFirst.map((flag, i) => flag * ofSecond[i]!),
    [batch, groups],
  );
  const [x, y] = [l2Normalise(takeRows(a, first.restore)), l2Normalise(takeRows(b, second.restore))];
  // The mean of all columns: cosines with the sum of the other branch's tokens.
  const similarity =
    agreement === "all"
      ? tf.div(tf.sum(tf.mul(x, tf.sum(y, 1, true)), -1), groups)
      : tf.sum(tf.mul(x, y), -1); // [B, G]
  const distance = tf.sub(1 + 1e-8, similarity);
  // Two masks of at least half of the groups meet; of less they may not, and then there is nothing to draw together.
  return tf.div(tf.sum(tf.mul(distance, twice)), tf.maximum(tf.sum(twice), 1)) as tf.Scalar;
}

/** All groups and the first branch's class token. */
function encode(
  params: PointCmaeParams,
  config: PointCmaeConfig,
  samples: readonly PointSample[],
  { pool }: EncodeOptions = {},
) {
  const { neighbourhoods, centres } = groupedTensors("point-cmae", samples, config);
  const tokens = embedGroups(params.MAE_encoder, neighbourhoods, byRunningStatistics);
  const { cls, latent } = encodeBranch(params, config, tokens, { centres, branch: 0 });
  return poolGroups("point-cmae", latent, pool, cls);
}

/** The first branch's. */
function reconstruct(
  params: PointCmaeParams,
  config: PointCmaeConfig,
  { neighbourhoods, centres, masks }: PointCmaeBatch,
): PointReconstruction {
  const mask = masks[0];
  const batch = { neighbourhoods, centres, masks, dropPaths: [], decoderDropPaths: [] } as const;
  const tokens = takeRows(embedGroups(params.MAE_encoder, neighbourhoods, byRunningStatistics), mask.keep);
  const seen = takeRows(centres, mask.keep);
  const { latent } = encodeBranch(params, config, tokens, { centres: seen, branch: 0 });
  const { points } = decodeBranch(
    params,
    config,
    { ...batch, dropPaths: [undefined, undefined], decoderDropPaths: [undefined, undefined] },
    latent,
    0,
  );
  const hiddenCentres = takeRows(centres, mask.masked);
  return {
    original: atCentres(neighbourhoods, centres),
    visible: atCentres(takeGroups(neighbourhoods, mask.keep), seen),
    reconstructed: atCentres(points.reshape([...hiddenCentres.shape.slice(0, 2), -1, 3]), hiddenCentres),
    covers: "hidden",
    note: `${mask.tokens - mask.kept} of ${mask.tokens} groups hidden; their centres are given to the decoder`,
  };
}

export const pointCmae = {
  id: "point-cmae",
  modality: "pointcloud",
  summary: "Point-MAE under two masks of the same groups, whose features at groups hidden twice must agree",
  paper:
    "Ren et al., Bringing Masked Autoencoders Explicit Contrastive Properties for Point Cloud Self-Supervised Learning, ACCV 2024, arXiv 2407.05862",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<PointCmaeConfig, PointSample, PointCmaeBatch, PointCmaeParams, PointReconstruction>;
