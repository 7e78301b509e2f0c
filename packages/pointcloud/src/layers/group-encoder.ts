/** The encoder and decoder that Point-MAE and the methods built on it share. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  type BlockParams,
  type DropPath,
  hiddenWidth,
  type Initializer,
  initLayerNorm,
  initTransformer,
  type LayerNormParams,
  type Random,
} from "@unmask/core";
import { z } from "zod";
import { count } from "../batch.js";
import { applyMiniPointNet, initMiniPointNet, type MiniPointNetParams } from "./mini-point-net.js";
import type { Normalise } from "./point-conv.js";
import { applyPositionedTransformer, initPositions, type PositionParams } from "./positioned-transformer.js";

export interface GroupEncoderConfig {
  readonly groups: number;
  readonly groupSize: number;
  readonly embedWidths: readonly [number, number, number];
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
}

export const groupEncoderShape = {
  groups: count.default(64).describe("groups of points, the tokens"),
  groupSize: count.default(32).describe("points of a group"),
  embedWidths: z
    .tuple([count, count, count])
    .default([128, 256, 512])
    .describe("hidden widths of the mini PointNet that makes a token of a group"),
  width: count.default(384).describe("width of the tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(6).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  epsilon: z.number().positive().default(1e-5).describe("epsilon of the layer norms"),
};

/** What methods that hide groups and predict them have beside the encoder. */
export interface HiddenGroupsConfig extends GroupEncoderConfig {
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly dropPath: number;
  readonly maskRatio: number;
  readonly distance: "l2" | "l1";
}

export const hiddenGroupsShape = {
  ...groupEncoderShape,
  decoderDepth: count.default(4).describe("blocks of a decoder"),
  decoderHeads: count.default(6).describe("attention heads of a decoder"),
  dropPath: z
    .number()
    .min(0)
    .lt(1)
    .default(0.1)
    .describe("rate of stochastic depth in the last block of encoder and decoder"),
  maskRatio: z.number().gt(0).lt(1).default(0.6).describe("share of groups that a mask hides"),
  distance: z
    .enum(["l2", "l1"])
    .default("l2")
    .describe("Chamfer distance of squared distances, or of distances"),
};

/** The sizes of the presets for small data and machines. */
export const smallGroups = {
  embedWidths: [64, 128, 256],
  width: 192,
  depth: 6,
  heads: 6,
  decoderDepth: 2,
  decoderHeads: 6,
} satisfies Partial<HiddenGroupsConfig>;

/** Hidden width of the networks that make positions of centres. */
export const POSITION_WIDTH = 128;

export interface GroupEncoderParams {
  /** Mini PointNet. */
  readonly encoder: MiniPointNetParams;
  readonly pos_embed: PositionParams;
  readonly blocks: { readonly blocks: readonly BlockParams[] };
  readonly norm: LayerNormParams;
}

export interface GroupDecoderParams {
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

const hidden = ({ width, mlpRatio }: GroupEncoderConfig) => hiddenWidth(width, mlpRatio);

export function initGroupEncoder(
  random: Random,
  config: GroupEncoderConfig,
  init: Initializer,
): GroupEncoderParams {
  const { embedWidths, width, depth } = config;
  return {
    encoder: initMiniPointNet(random, embedWidths, width, init),
    pos_embed: initPositions(random, POSITION_WIDTH, width, init),
    blocks: {
      blocks: initTransformer(random, depth, { width, hidden: hidden(config), qkvBias: "none", init }),
    },
    norm: initLayerNorm(width),
  };
}

/** Blocks with xavier-uniform weights, and a norm. */
export function initGroupDecoder(
  random: Random,
  config: GroupEncoderConfig,
  depth: number,
): GroupDecoderParams {
  const { width } = config;
  return {
    blocks: initTransformer(random, depth, { width, hidden: hidden(config), qkvBias: "none" }),
    norm: initLayerNorm(width),
  };
}

/** A token for each group: [B, G, S, 3] -> [B, G, D] */
export function embedGroups(
  params: Pick<GroupEncoderParams, "encoder">,
  neighbourhoods: tf.Tensor4D,
  normalise: Normalise,
): tf.Tensor3D {
  return applyMiniPointNet(params.encoder, neighbourhoods, normalise);
}

export interface EncodeGroupsOptions {
  readonly dropPath?: DropPath;
  readonly onBlock?: (index: number, tokens: tf.Tensor) => void;
}

/** All blocks and the final norm over tokens and their positions: [B, N, D] -> [B, N, D] */
export function encodeGroups(
  params: Pick<GroupEncoderParams, "blocks" | "norm">,
  { heads, epsilon }: GroupEncoderConfig,
  tokens: tf.Tensor3D,
  positions: tf.Tensor,
  options: EncodeGroupsOptions = {},
): tf.Tensor3D {
  const encoded = applyPositionedTransformer(params.blocks.blocks, tokens, positions, {
    heads,
    epsilon,
    ...options,
  });
  return applyLayerNorm(params.norm, encoded, epsilon);
}

/**
 * Tokens of the decoder before its norm, from [visible, mask tokens] with their positions.
 * @param visible [B, K, D]
 * @param maskToken [1, 1, D]
 * @param positions [B, K + M, D]
 * @returns [B, K + M, D]
 */
export function decodeGroups(
  params: GroupDecoderParams,
  visible: tf.Tensor3D,
  maskToken: tf.Tensor,
  positions: tf.Tensor3D,
  options: { readonly heads: number; readonly epsilon: number; readonly dropPath?: DropPath },
): tf.Tensor3D {
  const [batch, kept, width] = visible.shape;
  const masks = tf.add(maskToken, tf.zeros([batch, positions.shape[1] - kept, width]));
  return applyPositionedTransformer(params.blocks, tf.concat([visible, masks], 1), positions, options);
}
