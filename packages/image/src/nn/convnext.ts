/**
 * ConvNeXt: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, A ConvNet for the 2020s, CVPR 2022, https://arxiv.org/abs/2201.03545.
 * Parameter names and shapes are timm's.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyMlp,
  type ConvParams,
  expect,
  initConv,
  initLayerNorm,
  initMlp,
  type LayerNormParams,
  type MlpParams,
  parameter,
  type Random,
  truncatedNormal,
  zeros,
} from "@unmask/core";
import { dropBranch, type MapOptions, mapConv, mapLayerNorm, onlyActive } from "./feature-map.js";

export interface ConvNextShape {
  /** Channels of the images. */
  readonly channels: number;
  /** Channels of the four stages. */
  readonly widths: readonly number[];
  /** Blocks of the four stages. */
  readonly blocks: readonly number[];
  /** Pixels that the stem makes one place of, in each direction; 4 in the paper. */
  readonly stemPatch: number;
  /** What each branch is multiplied by at first, channel by channel; 1e-6 in the paper. */
  readonly layerScale: number;
}

/** The published networks. */
export const convnextSizes = {
  "convnext-tiny": { blocks: [3, 3, 9, 3], widths: [96, 192, 384, 768] },
  "convnext-small": { blocks: [3, 3, 27, 3], widths: [96, 192, 384, 768] },
  "convnext-base": { blocks: [3, 3, 27, 3], widths: [128, 256, 512, 1024] },
  "convnext-large": { blocks: [3, 3, 27, 3], widths: [192, 384, 768, 1536] },
} as const satisfies Record<string, Pick<ConvNextShape, "blocks" | "widths">>;

export interface ConvNextBlockParams {
  /** [D] */
  readonly gamma: tf.Variable;
  readonly conv_dw: ConvParams;
  readonly norm: LayerNormParams;
  readonly mlp: MlpParams;
}

export interface ConvNextStageParams {
  /** Norm and 2 x 2 convolution; the first stage has none. */
  readonly downsample?: readonly [LayerNormParams, ConvParams];
  readonly blocks: readonly ConvNextBlockParams[];
}

export interface ConvNextParams {
  readonly stem: readonly [ConvParams, LayerNormParams];
  readonly stages: readonly ConvNextStageParams[];
}

const EPSILON = 1e-6;
const KERNEL = 7;
const weights = truncatedNormal(0.02);

/** Weights truncated-normal with deviation 0.02, biases 0. */
export function initConvNext(random: Random, shape: ConvNextShape): ConvNextParams {
  const { channels, widths, blocks, stemPatch, layerScale } = shape;
  expect(
    widths.length === 4 && blocks.length === 4,
    `initConvNext: expected widths and blocks of four stages, got [${widths}] and [${blocks}]`,
  );
  const block = (width: number): ConvNextBlockParams => ({
    gamma: parameter(tf.fill([width], layerScale)),
    conv_dw: convolution(random, width, width, KERNEL, width),
    norm: initLayerNorm(width),
    mlp: initMlp(random, width, 4 * width, { init: weights }),
  });
  return {
    stem: [convolution(random, channels, widths[0]!, stemPatch), initLayerNorm(widths[0]!)],
    stages: widths.map((width, stage) => ({
      ...(stage > 0 && {
        downsample: [
          initLayerNorm(widths[stage - 1]!),
          convolution(random, widths[stage - 1]!, width, 2),
        ] as const,
      }),
      blocks: Array.from({ length: blocks[stage]! }, () => block(width)),
    })),
  };
}

function convolution(random: Random, channels: number, out: number, side: number, groups = 1): ConvParams {
  const { weight, bias } = initConv(random, { channels, out, kernel: [side, side], groups, init: weights });
  bias?.assign(zeros([out], random));
  return { weight, bias };
}

/** Pixels that a place of the last map stands for, in each direction. */
export function convnextStride({ stemPatch }: Pick<ConvNextShape, "stemPatch">): number {
  return stemPatch * 8;
}

/**
 * The maps of the four stages, largest first.
 * @param images [B, H, W, channels]; sparse runs expect hidden places to be zero already
 * @returns [B, h, w, widths] each, h and w halved from stage to stage
 */
export function convnextMaps(
  params: ConvNextParams,
  { stemPatch }: Pick<ConvNextShape, "stemPatch">,
  images: tf.Tensor,
  options: MapOptions,
): tf.Tensor4D[] {
  const [stem, norm] = params.stem;
  let x = mapLayerNorm(norm, mapConv(stem, images, { stride: stemPatch }, options), EPSILON, options);
  let index = 0;
  return params.stages.map(({ downsample, blocks }) => {
    if (downsample !== undefined) {
      const normal = mapLayerNorm(downsample[0], x, EPSILON, options);
      x = mapConv(downsample[1], normal, { stride: 2 }, options);
    }
    for (const block of blocks) x = applyBlock(block, x, index++, options);
    return x;
  });
}

/** x + gamma * mlp(norm(7 x 7 depthwise convolution of x)) */
function applyBlock(
  { gamma, conv_dw, norm, mlp }: ConvNextBlockParams,
  x: tf.Tensor4D,
  index: number,
  options: MapOptions,
): tf.Tensor4D {
  const mixed = mapConv(conv_dw, x, { padding: KERNEL >> 1, groups: x.shape[3] }, options);
  const [batch, height, width, channels] = x.shape;
  const rows = mapLayerNorm(norm, mixed, EPSILON, options).reshape([batch, height * width, channels]);
  const branch = tf.mul(applyMlp(mlp, rows), gamma).reshape([batch, height, width, channels]);
  return tf.add(x, dropBranch(onlyActive(branch, options.active), index, options));
}
