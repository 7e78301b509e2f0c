/**
 * Point-MAE: Masked Autoencoders for Point Cloud Self-supervised Learning. Pang, Wang, Tay, Liu, Tian, Yuan, ECCV 2022,
 * https://arxiv.org/abs/2203.06604
 *
 *   loss = mean_p min_q |p - q|^2 + mean_q min_p |q - p|^2,   p of the predicted, q of the true hidden groups
 *
 * A cloud becomes groups: centres by farthest point sampling, the nearest points of each, relative to it. A mini PointNet
 * makes a token of each group; the encoder sees the tokens of visible groups, the decoder these and one mask token for
 * each hidden centre, and predicts the points of hidden groups. Quirks of the reference, kept: the embedder sees all
 * groups, so that its batch statistics do; positions are added again before every block; farthest point sampling begins at
 * the first point and passes over points within 0.03 of the origin. Departures: none that changes a number. Parameter
 * names, shapes and initial distributions are those of the reference implementation.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  type ConvParams,
  chamfer,
  type DropPath,
  drawDropPath,
  type EncodeOptions,
  type Mask,
  type Method,
  parameter,
  type Random,
  takeRows,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import {
  type GroupedPoints,
  groupedTensors,
  type PointInput,
  pointInputShape,
  takeGroups,
} from "../batch.js";
import {
  decodeGroups,
  type EncodeGroupsOptions,
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
import {
  applyPointConv,
  byBatch,
  byRunningStatistics,
  initPointConv,
  type Normalise,
} from "../layers/point-conv.js";
import { applyPositions, initPositions, type PositionParams } from "../layers/positioned-transformer.js";
import { blockGroupMask, randomGroupMask } from "../masking.js";
import { poolGroups } from "../pool.js";
import { atCentres, type PointReconstruction } from "../reconstruction.js";
import type { PointSample } from "../sample.js";

export interface PointMaeConfig extends PointInput, HiddenGroupsConfig {
  readonly masking: "random" | "block";
}

const schema = z.strictObject({
  ...pointInputShape,
  ...hiddenGroupsShape,
  masking: z
    .enum(["random", "block"])
    .default("random")
    .describe("hide groups at random, or those nearest to a random one"),
}) satisfies z.ZodType<PointMaeConfig>;

/** `base` is the paper's; `tiny` is for small data and machines. */
const presets = {
  tiny: smallGroups,
  base: {},
} satisfies Record<string, Partial<PointMaeConfig>>;

export interface PointMaeParams {
  readonly MAE_encoder: GroupEncoderParams;
  /** [1, 1, D] */
  readonly mask_token: tf.Variable;
  readonly decoder_pos_embed: PositionParams;
  readonly MAE_decoder: GroupDecoderParams;
  /** The points of a group from its token. */
  readonly increase_dim: { readonly 0: ConvParams };
}

export interface PointMaeBatch extends GroupedPoints {
  readonly mask: Mask;
  readonly dropPath?: DropPath;
  readonly decoderDropPath?: DropPath;
}

function init(config: PointMaeConfig, random: Random): PointMaeParams {
  const { width, groupSize, decoderDepth } = config;
  return {
    MAE_encoder: initGroupEncoder(random, config, truncatedNormal(0.02)),
    mask_token: parameter(truncatedNormal(0.02)([1, 1, width], random)),
    decoder_pos_embed: initPositions(random, POSITION_WIDTH, width),
    MAE_decoder: initGroupDecoder(random, config, decoderDepth),
    increase_dim: { 0: initPointConv(random, width, 3 * groupSize) },
  };
}

function prepare(config: PointMaeConfig, samples: readonly PointSample[], random: Random): PointMaeBatch {
  const { groups, depth, decoderDepth, dropPath, maskRatio, masking } = config;
  const { hostCentres, ...grouped } = groupedTensors("point-mae", samples, config);
  const batch = samples.length;
  const mask =
    masking === "random"
      ? randomGroupMask(batch, groups, maskRatio, random)
      : blockGroupMask(hostCentres, batch, maskRatio, random);
  return {
    ...grouped,
    mask,
    dropPath: drawDropPath(random, depth, batch, dropPath),
    decoderDropPath: drawDropPath(random, decoderDepth, batch, dropPath),
  };
}

function loss(params: PointMaeParams, config: PointMaeConfig, batch: PointMaeBatch) {
  const latent = encodeVisible(params, config, batch, byBatch, { dropPath: batch.dropPath });
  const hidden = decodeHidden(params, config, batch, latent, batch.decoderDropPath);
  return { total: chamfer(predictPoints(params, hidden), hiddenPoints(batch), { norm: config.distance }) };
}

/** The encoder on visible groups: [B, K, D], in the order of `mask.keep` */
export function encodeVisible(
  { MAE_encoder: encoder }: PointMaeParams,
  config: PointMaeConfig,
  { neighbourhoods, centres, mask }: PointMaeBatch,
  normalise: Normalise,
  options?: EncodeGroupsOptions,
): tf.Tensor3D {
  const tokens = takeRows(embedGroups(encoder, neighbourhoods, normalise), mask.keep);
  const positions = applyPositions(encoder.pos_embed, takeRows(centres, mask.keep));
  return encodeGroups(encoder, config, tokens, positions, options);
}

/** Tokens of hidden groups after the decoder's norm: [B, K, D] -> [B, M, D], in the order of `mask.masked` */
export function decodeHidden(
  params: PointMaeParams,
  { decoderHeads: heads, epsilon }: PointMaeConfig,
  { centres, mask }: PointMaeBatch,
  latent: tf.Tensor3D,
  dropPath?: DropPath,
): tf.Tensor3D {
  const order = tf.concat([takeRows(centres, mask.keep), takeRows(centres, mask.masked)], 1);
  const positions = applyPositions(params.decoder_pos_embed, order);
  const { MAE_decoder: decoder, mask_token } = params;
  const tokens = decodeGroups(decoder, latent, mask_token, positions, { heads, epsilon, dropPath });
  return applyLayerNorm(decoder.norm, tokens.slice([0, mask.kept, 0]), epsilon);
}

/** [B, M, D] -> [B * M, S, 3], relative to the centres */
export function predictPoints(
  params: Pick<PointMaeParams, "increase_dim">,
  tokens: tf.Tensor3D,
): tf.Tensor3D {
  const flat = applyPointConv(params.increase_dim[0], tokens);
  return flat.reshape([tokens.shape[0] * tokens.shape[1], -1, 3]);
}

/** The points of hidden groups, relative to their centres: [B * M, S, 3] */
export function hiddenPoints({
  neighbourhoods,
  mask,
}: Pick<PointMaeBatch, "neighbourhoods" | "mask">): tf.Tensor3D {
  return takeGroups(neighbourhoods, mask.masked).reshape([mask.masked.length, -1, 3]);
}

function encode(
  { MAE_encoder: encoder }: PointMaeParams,
  config: PointMaeConfig,
  samples: readonly PointSample[],
  { pool }: EncodeOptions = {},
) {
  const { neighbourhoods, centres } = groupedTensors("point-mae", samples, config);
  const tokens = embedGroups(encoder, neighbourhoods, byRunningStatistics);
  const positions = applyPositions(encoder.pos_embed, centres);
  return poolGroups("point-mae", encodeGroups(encoder, config, tokens, positions), pool);
}

function reconstruct(
  params: PointMaeParams,
  config: PointMaeConfig,
  batch: PointMaeBatch,
): PointReconstruction {
  const { neighbourhoods, centres, mask } = batch;
  const latent = encodeVisible(params, config, batch, byRunningStatistics);
  const hidden = predictPoints(params, decodeHidden(params, config, batch, latent));
  const hiddenCentres = takeRows(centres, mask.masked);
  return {
    original: atCentres(neighbourhoods, centres),
    visible: atCentres(takeGroups(neighbourhoods, mask.keep), takeRows(centres, mask.keep)),
    reconstructed: atCentres(hidden.reshape([...hiddenCentres.shape.slice(0, 2), -1, 3]), hiddenCentres),
    covers: "hidden",
    note: `${mask.tokens - mask.kept} of ${mask.tokens} groups hidden; their centres are given to the decoder`,
  };
}

export const pointMae = {
  id: "point-mae",
  modality: "pointcloud",
  summary:
    "Masked autoencoder of point clouds: groups of points as tokens, the points of hidden groups as target",
  paper:
    "Pang et al., Masked Autoencoders for Point Cloud Self-supervised Learning, ECCV 2022, arXiv 2203.06604",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<PointMaeConfig, PointSample, PointMaeBatch, PointMaeParams, PointReconstruction>;
