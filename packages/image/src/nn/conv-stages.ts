/** ConvMAE's two stages of convolutions, on grids four times and twice as fine as that of the patches. */
import * as tf from "@tensorflow/tfjs";
import {
  applyConv2d,
  applyLayerNorm,
  applyLinear,
  buffer,
  type ConvParams,
  expect,
  gelu,
  initConv,
  initLayerNorm,
  initLinear,
  type LayerNormParams,
  type LinearParams,
  type Random,
  sinCos2d,
  xavierUniform,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageGrid } from "../batch.js";
import { count, type EncoderConfig, hiddenWidth } from "../transformer-config.js";
import type { ActivePlaces } from "./feature-map.js";

export interface ConvStagesConfig {
  readonly stageWidths: readonly [number, number];
  readonly stageDepths: readonly [number, number];
  readonly stageMlpRatios: readonly [number, number];
}

const ratio = z.number().positive();

/** The schema keys of `ConvStagesConfig`; those of ConvMAE-Base by default. */
export const convStagesShape = {
  stageWidths: z
    .tuple([count, count])
    .readonly()
    .default([256, 384])
    .describe("channels of the two stages of convolutions"),
  stageDepths: z.tuple([count, count]).readonly().default([2, 2]).describe("their blocks"),
  stageMlpRatios: z
    .tuple([ratio, ratio])
    .readonly()
    .default([4, 4])
    .describe("hidden width of their MLPs over their channels"),
};

type StagesConfig = ImageInput & EncoderConfig & ConvStagesConfig;

/** Convolution, layer norm over channels, GELU. */
interface StageEmbedParams {
  readonly proj: ConvParams;
  readonly norm: LayerNormParams;
}

/** x + conv2(attn(visible * conv1(norm1 x))), then x + mlp(norm2 x), with a depthwise 5 x 5 `attn`. */
interface ConvBlockParams {
  readonly norm1: LayerNormParams;
  readonly conv1: ConvParams;
  readonly conv2: ConvParams;
  readonly attn: ConvParams;
  readonly norm2: LayerNormParams;
  readonly mlp: { readonly fc1: ConvParams; readonly fc2: ConvParams };
}

export interface ConvStagesParams {
  readonly patch_embed1: StageEmbedParams;
  readonly patch_embed2: StageEmbedParams;
  readonly patch_embed3: StageEmbedParams;
  readonly patch_embed4: LinearParams;
  /** [1, N, D] */
  readonly pos_embed: tf.Variable;
  readonly blocks1: readonly ConvBlockParams[];
  readonly blocks2: readonly ConvBlockParams[];
}

/** Of the stages of convolutions; PyTorch's default. The transformer has `epsilon`. */
const STAGE_EPSILON = 1e-5;
const KERNEL = 5;

/**
 * What comes before the transformer; its position table is frozen. Linear maps xavier-uniform, convolutions as PyTorch
 * starts them but the third embedding, which is xavier-uniform too.
 */
export function initConvStages(config: StagesConfig, random: Random): ConvStagesParams {
  const { patchSize, channels, width, stageWidths, stageDepths, stageMlpRatios } = config;
  const [first, second] = stageWidths;
  expect(
    patchSize.every((side) => side % 4 === 0),
    `conv-mae: patchSize ${patchSize.join("x")} is not a multiple of 4, which the first stage's grid is finer by; choose one that is`,
  );
  const stem = patchSize.map((side) => side / 4);
  const embed = (given: number, out: number, kernel: readonly number[], init = {}): StageEmbedParams => ({
    proj: initConv(random, { channels: given, out, kernel, ...init }),
    norm: initLayerNorm(out),
  });
  const stage = (index: 0 | 1) =>
    Array.from({ length: stageDepths[index] }, () =>
      initConvBlock(random, stageWidths[index], stageMlpRatios[index]),
    );
  return {
    patch_embed1: embed(channels, first, stem),
    patch_embed2: embed(first, second, [2, 2]),
    patch_embed3: embed(second, width, [2, 2], { init: xavierUniform }),
    patch_embed4: initLinear(random, width, width),
    pos_embed: buffer(sinCos2d(imageGrid(config), width).expandDims(0)),
    blocks1: stage(0),
    blocks2: stage(1),
  };
}

function initConvBlock(random: Random, width: number, mlpRatio: number): ConvBlockParams {
  const pointwise = (given: number, out: number) =>
    initConv(random, { channels: given, out, kernel: [1, 1] });
  const hidden = hiddenWidth(width, mlpRatio);
  return {
    norm1: initLayerNorm(width),
    conv1: pointwise(width, width),
    conv2: pointwise(width, width),
    attn: initConv(random, { channels: width, out: width, kernel: [KERNEL, KERNEL], groups: width }),
    norm2: initLayerNorm(width),
    mlp: { fc1: pointwise(width, hidden), fc2: pointwise(hidden, width) },
  };
}

export interface ConvStages {
  /** Maps, [B, 4 rows, 4 columns, C1] and [B, 2 rows, 2 columns, C2]. */
  readonly stages: readonly [tf.Tensor4D, tf.Tensor4D];
  /** What the transformer begins with, positions added: [B, N, D]. */
  readonly tokens: tf.Tensor3D;
}

/** @param visible places that are not hidden; all of them when absent */
export function applyConvStages(
  params: ConvStagesParams,
  config: StagesConfig,
  images: tf.Tensor4D,
  visible?: ActivePlaces,
): ConvStages {
  const [rows, columns] = imageGrid(config);
  const stem = config.patchSize.map((side) => side / 4) as [number, number];
  const first = applyStage(params.blocks1, applyStageEmbed(params.patch_embed1, images, stem), visible);
  const second = applyStage(params.blocks2, applyStageEmbed(params.patch_embed2, first, [2, 2]), visible);
  const third = applyStageEmbed(params.patch_embed3, second, [2, 2]);
  const patches = third.reshape([images.shape[0], rows * columns, config.width]);
  const tokens = tf.add(applyLinear(params.patch_embed4, patches), params.pos_embed) as tf.Tensor3D;
  return { stages: [first, second], tokens };
}

function applyStageEmbed({ proj, norm }: StageEmbedParams, x: tf.Tensor, stride: readonly [number, number]) {
  return gelu(applyLayerNorm(norm, applyConv2d(proj, x, { stride }), STAGE_EPSILON));
}

function applyStage(
  blocks: readonly ConvBlockParams[],
  x: tf.Tensor4D,
  visible: ActivePlaces | undefined,
): tf.Tensor4D {
  return blocks.reduce((map, { norm1, conv1, conv2, attn, norm2, mlp }) => {
    const [, height, width, channels] = map.shape;
    const given = applyConv2d(conv1, applyLayerNorm(norm1, map, STAGE_EPSILON));
    const shown = visible === undefined ? given : tf.mul(given, visible.at(height, width));
    const mixed = applyConv2d(attn, shown, { padding: KERNEL >> 1, groups: channels });
    const y = tf.add(map, applyConv2d(conv2, mixed));
    const hidden = gelu(applyConv2d(mlp.fc1, applyLayerNorm(norm2, y, STAGE_EPSILON)));
    return tf.add(y, applyConv2d(mlp.fc2, hidden)) as tf.Tensor4D;
  }, x);
}
