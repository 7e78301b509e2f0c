/**
 * ResNet: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, https://arxiv.org/abs/1512.03385,
 * with the stride of bottlenecks on their 3 x 3 convolution. Parameter names and shapes are those of timm and
 * torchvision, so that their weights load as they are.
 */
import * as tf from "@tensorflow/tfjs";
import {
  type BatchNormParams,
  type ConvParams,
  expect,
  type Initializer,
  initBatchNorm,
  initConv,
  normal,
  type Random,
} from "@unmask/core";
import { dropBranch, type MapOptions, mapBatchNorm, mapConv, mapMaxPool } from "./feature-map.js";

export interface ResNetShape {
  /** Channels of the images. */
  readonly channels: number;
  /** Of the stem and of the first stage's 3 x 3 convolutions; each stage has twice the one before. */
  readonly width: number;
  /** Residual blocks of the four stages. */
  readonly blocks: readonly number[];
  /** Blocks of three convolutions, 1 x 1, 3 x 3 and 1 x 1 to four times the width; of two otherwise. */
  readonly bottleneck: boolean;
  /**
   * "imagenet": 7 x 7 with stride 2, then 3 x 3 pooling with stride 2, 32 pixels a place at the end. "full-resolution":
   * both with stride 1, 8 pixels a place. "small": 3 x 3 with stride 1 and no pooling, 8 pixels a place, as for CIFAR.
   */
  readonly stem: "imagenet" | "full-resolution" | "small";
}

/** Blocks of the published networks. */
export const resnetSizes = {
  resnet18: { bottleneck: false, blocks: [2, 2, 2, 2] },
  resnet34: { bottleneck: false, blocks: [3, 4, 6, 3] },
  resnet50: { bottleneck: true, blocks: [3, 4, 6, 3] },
  resnet101: { bottleneck: true, blocks: [3, 4, 23, 3] },
  resnet152: { bottleneck: true, blocks: [3, 8, 36, 3] },
  resnet200: { bottleneck: true, blocks: [3, 24, 36, 3] },
} as const satisfies Record<string, Pick<ResNetShape, "blocks" | "bottleneck">>;

export interface ResNetBlockParams {
  readonly conv1: ConvParams;
  readonly bn1: BatchNormParams;
  readonly conv2: ConvParams;
  readonly bn2: BatchNormParams;
  /** Of bottlenecks. */
  readonly conv3?: ConvParams;
  readonly bn3?: BatchNormParams;
  /** Where width or size change. */
  readonly downsample?: readonly [ConvParams, BatchNormParams];
}

export interface ResNetParams {
  readonly conv1: ConvParams;
  readonly bn1: BatchNormParams;
  readonly layer1: readonly ResNetBlockParams[];
  readonly layer2: readonly ResNetBlockParams[];
  readonly layer3: readonly ResNetBlockParams[];
  readonly layer4: readonly ResNetBlockParams[];
}

/** He et al. 2015: normal with deviation sqrt(2 / fan out). */
export const heNormal: Initializer = (shape, random) => {
  const [out = 1, , ...kernel] = shape;
  return normal(Math.sqrt(2 / (out * kernel.reduce((a, b) => a * b, 1))))(shape, random);
};

const EXPANSION = 4;

/** Weights normal with deviation sqrt(2 / fan out), every batch norm 1 and 0. */
export function initResNet(random: Random, shape: ResNetShape): ResNetParams {
  const { channels, width, blocks, bottleneck, stem } = shape;
  expect(
    blocks.length === 4 && blocks.every((count) => Number.isInteger(count) && count > 0),
    `initResNet: expected the blocks of four stages, got [${blocks}]; ResNet-50 has [3, 4, 6, 3]`,
  );
  const side = stem === "small" ? 3 : 7;
  const params = {
    conv1: convolution(random, channels, width, side),
    bn1: initBatchNorm(width),
  };
  const widths = resnetWidths(shape);
  const stages = blocks.map((count, stage) =>
    Array.from({ length: count }, (_, index) => {
      const given = index > 0 ? widths[stage]! : stage > 0 ? widths[stage - 1]! : width;
      const resized = index === 0 && stage > 0;
      return initBlock(random, { given, inner: width * 2 ** stage, bottleneck, resized });
    }),
  );
  const [layer1, layer2, layer3, layer4] = stages as [
    ResNetBlockParams[],
    ResNetBlockParams[],
    ResNetBlockParams[],
    ResNetBlockParams[],
  ];
  return { ...params, layer1, layer2, layer3, layer4 };
}

interface BlockShape {
  /** Channels in. */
  readonly given: number;
  readonly inner: number;
  readonly bottleneck: boolean;
  /** Its stride is 2. */
  readonly resized: boolean;
}

function initBlock(random: Random, { given, inner, bottleneck, resized }: BlockShape): ResNetBlockParams {
  const out = bottleneck ? inner * EXPANSION : inner;
  return {
    conv1: convolution(random, given, inner, bottleneck ? 1 : 3),
    bn1: initBatchNorm(inner),
    conv2: convolution(random, inner, inner, 3),
    bn2: initBatchNorm(inner),
    ...(bottleneck && { conv3: convolution(random, inner, out, 1), bn3: initBatchNorm(out) }),
    ...((resized || given !== out) && {
      downsample: [convolution(random, given, out, 1), initBatchNorm(out)] as const,
    }),
  };
}

const convolution = (random: Random, channels: number, out: number, side: number) =>
  initConv(random, { channels, out, kernel: [side, side], bias: false, init: heNormal });

/** Channels of the four stages' maps. */
export function resnetWidths({
  width,
  bottleneck,
}: Pick<ResNetShape, "width" | "bottleneck">): [number, number, number, number] {
  const first = bottleneck ? width * EXPANSION : width;
  return [first, first * 2, first * 4, first * 8];
}

/** Pixels that a place of the last map stands for, in each direction. */
export function resnetStride({ stem }: Pick<ResNetShape, "stem">): number {
  return stem === "imagenet" ? 32 : 8;
}

/**
 * The maps of the four stages, largest first.
 * @param images [B, H, W, channels]; sparse runs expect hidden places to be zero already
 * @returns [B, h, w, resnetWidths] each, h and w halved from stage to stage
 */
export function resnetMaps(
  params: ResNetParams,
  { stem, blocks }: Pick<ResNetShape, "stem" | "blocks">,
  images: tf.Tensor,
  options: MapOptions,
): tf.Tensor4D[] {
  let x = applyStem(params, stem, images, options);
  const { layer1, layer2, layer3, layer4 } = params;
  let block = 0;
  return [layer1, layer2, layer3, layer4].map((layer, stage) => {
    expect(
      layer.length === blocks[stage],
      () => `resnetMaps: stage ${stage + 1} has ${layer.length} blocks, its config says ${blocks[stage]}`,
    );
    layer.forEach((one, index) => {
      x = applyBlock(one, x, { stride: stage > 0 && index === 0 ? 2 : 1, index: block++ }, options);
    });
    return x;
  });
}

function applyStem(
  { conv1, bn1 }: ResNetParams,
  stem: ResNetShape["stem"],
  images: tf.Tensor,
  options: MapOptions,
): tf.Tensor4D {
  const begin = (stride: number, padding: number) =>
    tf.relu(mapBatchNorm(bn1, mapConv(conv1, images, { stride, padding }, options), options));
  switch (stem) {
    case "imagenet":
      return mapMaxPool(begin(2, 3), { size: 3, stride: 2, padding: 1 }, options);
    case "full-resolution":
      return mapMaxPool(begin(1, 3), { size: 3, stride: 1, padding: 1 }, options);
    case "small":
      return begin(1, 1);
  }
}

function applyBlock(
  params: ResNetBlockParams,
  x: tf.Tensor4D,
  { stride, index }: { stride: number; index: number },
  options: MapOptions,
): tf.Tensor4D {
  const { conv1, bn1, conv2, bn2, conv3, bn3, downsample } = params;
  const bottleneck = conv3 !== undefined && bn3 !== undefined;
  let y = mapConv(conv1, x, bottleneck ? {} : { stride, padding: 1 }, options);
  y = tf.relu(mapBatchNorm(bn1, y, options));
  y = mapConv(conv2, y, { stride: bottleneck ? stride : 1, padding: 1 }, options);
  y = mapBatchNorm(bn2, y, options);
  if (bottleneck) y = mapBatchNorm(bn3, mapConv(conv3, tf.relu(y), {}, options), options);
  const shortcut =
    downsample === undefined
      ? x
      : mapBatchNorm(downsample[1], mapConv(downsample[0], x, { stride }, options), options);
  return tf.relu(tf.add(shortcut, dropBranch(y, index, options)) as tf.Tensor4D);
}
